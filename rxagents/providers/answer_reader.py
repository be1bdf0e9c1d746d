"""Read one HTTP response to its end, and emit the chunks of its answer.

Theory of operation. A chunk reaches the subscriber in the iteration of the loop in which its bytes
arrived: the connection calls `_on_data`, and `_go_on` reads, parses and emits until nothing more is
there. The stream's task only waits for `_end`; waking it for each packet would cost every packet a
task switch.

Demand: `Emitter.push` returns False when the consumer has enough. The reader then keeps the rest
of the chunks in `_chunks` and reads no further, so that aiohttp stops the socket. When the gate
opens, `_resume` emits the rest and reads on. It does so in the loop's next iteration, because
the gate opens inside the consumer's own call.

`_is_busy` is set from a packet's arrival until all of its chunks are emitted, so also while the
gate is closed; after the end it stays set. While it is set, `_on_data` does nothing: packets still
arrive until the socket stops, and their chunks must come after those that wait.

`_end` is a future that is set once: to `None` when the answer is complete, or to the error. A
consumer may dispose the stream in `on_next`, which cancels `_end`; an error that follows in the
same burst is then dropped. `KeyboardInterrupt` and `SystemExit` are raised to the loop as well,
since they are to end the program.

A response of the caller's own session does not call `_on_data`, and a compressed body is read in
pieces: `_read_in_task` reads both.

What must not change: every packet runs through these methods, so add no call to them. `_emit` calls
`check` only where `check` may have something to raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any

from rxagents.core.chunks import StreamChunk
from rxagents.providers.received_answer import ReceivedAnswer
from rxagents.runtime.idle_clock import IdleClock
from rxagents.runtime.source import Emitter
from rxagents.transport import StreamedResponse


class AnswerReader:
    """Reads one response and emits its chunks.

    Args:
        response: What to read.
        received: Parses the bytes, and decides how the answer ended.
        emitter: Takes the chunks.
        clock: Stands still while the consumer has enough.
        items_of: Returns what to emit for the chunks of one read; `None` to emit the chunks.
    """

    __slots__ = ("_chunks", "_clock", "_context", "_emitter", "_end", "_feed", "_is_busy",
                 "_received", "_response")  # fmt: skip

    def __init__(
        self,
        response: StreamedResponse,
        received: ReceivedAnswer,
        emitter: Emitter[Any],
        clock: IdleClock,
        items_of: Callable[[list[StreamChunk]], Iterable[Any]] | None = None,
    ) -> None:
        self._response = response
        self._received = received
        self._emitter = emitter
        self._clock = clock
        self._feed: Callable[[bytes], Iterable[Any]] = received.feed
        if items_of is not None:
            self._feed = _composed(received.feed, items_of)
        self._chunks: Iterator[Any] = iter(())
        self._is_busy = False
        # The subscriber's context variables: a packet arrives in the context of the connection.
        self._context = copy_context()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> None:
        """Emit the chunks, and return at the end of a complete answer.

        `finish` or `close` of the response was called by then.

        Raises:
            ProviderError: The answer is not complete, or the body is no stream.
        """
        response = self._response
        try:
            if response.listen(self._on_data):
                self._on_data()
                await self._end
            else:
                await self._read_in_task()
        except BaseException:
            response.close()
            raise
        response.finish()

    def _on_data(self) -> None:
        """Emit what has arrived, in the same iteration of the loop."""
        if not self._is_busy:
            self._is_busy = True
            self._context.run(self._go_on)

    def _go_on(self) -> None:
        """Read and emit until nothing more is there, or the consumer has enough."""
        read, feed = self._response.read_nowait, self._feed
        try:
            while (data := read()) is not None:
                self._chunks = iter(feed(data))
                if not self._emit():
                    return
            self._is_busy = False
        except BaseException as error:
            self._fail(error)

    def _emit(self) -> bool:
        """Emit the chunks at hand; return whether to read on."""
        if not self._emitter.push(self._chunks):
            self._clock.pause_until_open()
            self._emitter.gate.when_open(self._on_demand)
            return False
        received = self._received
        # Every packet of a live stream comes through here: rare conditions cost no call.
        over = received.at_end or received.parser.done
        if over or received.limit is not None or received.parser.error is not None:
            received.check()
        if over:
            if not self._end.done():
                self._end.set_result(None)
            return False
        return True

    def _fail(self, error: BaseException) -> None:
        if not self._end.done():
            self._end.set_exception(error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error

    def _on_demand(self) -> None:
        """Go on in the loop's next iteration: this call comes from inside the consumer's."""
        self._end.get_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if not self._end.done():
            self._context.run(self._emit_rest)

    def _emit_rest(self) -> None:
        """Emit the chunks that the consumer had no room for, and read on."""
        try:
            is_more_wanted = self._emit()
        except BaseException as error:
            self._fail(error)
        else:
            if is_more_wanted:
                self._go_on()

    async def _read_in_task(self) -> None:
        """Read and emit where the response does not call back."""
        received, gate = self._received, self._emitter.gate
        while not received.is_over:
            self._chunks = iter(self._feed(await self._response.read()))
            while not self._emitter.push(self._chunks):
                self._clock.pause_until_open()
                await gate.opened()
            received.check()


def _composed(
    feed: Callable[[bytes], list[StreamChunk]],
    items_of: Callable[[list[StreamChunk]], Iterable[Any]],
) -> Callable[[bytes], Iterable[Any]]:
    return lambda data: items_of(feed(data))
