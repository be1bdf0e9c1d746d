"""Reads one answer to its end, and emits all that it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextvars import copy_context

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.providers.failures import no_stream, request_id, truncated
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.providers.timeouts import Watchdog
from rxagents.runtime.source import Emitter
from rxagents.transport import HttpResponse
from rxagents.wire.parser import StreamInfo


class AnswerReader:
    """The answer to one attempt.

    Args:
        call: What was sent.
        exchange: What came back.
        info: What is known of the answer already.
        emitter: Takes the chunks.
        watchdog: Is told of each event.

    Attributes:
        delivered: Whether the user has seen some of the answer, so that asking again would
            repeat it.
    """

    __slots__ = ("_at_end", "_call", "_chunks", "_context", "_emitter", "_exchange", "_head",
                 "_held", "_limit", "_over", "_parser", "_received", "_watchdog",
                 "delivered")  # fmt: skip

    def __init__(
        self,
        call: PreparedRequest,
        exchange: HttpResponse,
        info: StreamInfo,
        emitter: Emitter[StreamChunk],
        watchdog: Watchdog,
    ) -> None:
        self.delivered = False
        self._call = call
        self._exchange = exchange
        self._emitter = emitter
        self._watchdog = watchdog
        self._parser = call.parser(info)
        self._limit = call.limits.stream_bytes
        self._received = 0
        self._head = b""
        self._at_end = False
        self._context = copy_context()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chunks: Iterator[StreamChunk] = iter(())
        self._held = False

    @property
    def complete(self) -> bool:
        """Whether the provider said that it is whole."""
        return self._parser.complete

    @property
    def told(self) -> ProviderError | None:
        """The error that stood in the stream, or that reading it came upon."""
        return self._parser.error

    async def read(self) -> None:
        """Emit the chunks; return at the end of a whole answer, and be done with the exchange.

        Raises:
            ProviderError: The answer is not whole, or there is none.
        """
        exchange = self._exchange
        try:
            if exchange.listen(self._on_data):
                self._on_data()
                await self._over
            else:
                await self._read_on()
        except BaseException:
            exchange.close()
            raise
        exchange.finish()

    def _on_data(self) -> None:
        """Emit what has arrived, in the turn of the loop in which it did."""
        if not self._held:
            self._held = True
            self._context.run(self._go_on)

    def _go_on(self) -> None:
        """Emit what has arrived, until there is no more, or no more is wanted."""
        read = self._exchange.read_nowait
        try:
            while (data := read()) is not None:
                self._chunks = iter(self._parse(data))
                if not self._emit():
                    return
            self._held = False
        except BaseException as error:
            self._fail(error)

    def _emit(self) -> bool:
        """Emit the chunks at hand; return whether what comes next is wanted."""
        if not self._emitter.push(self._chunks):
            self._watchdog.paused = True
            self._emitter.gate.when_open(self._on_demand)
            return False
        # Every event of a live stream comes through here: what is rare costs no call.
        if self._at_end or self._limit is not None or self._parser.error is not None:
            self._check()
        if self._at_end or self._parser.done:
            if not self._over.done():
                self._over.set_result(None)
            return False
        return True

    def _fail(self, error: BaseException) -> None:
        """End with an error; one that is to end the program goes on its way too."""
        if not self._over.done():
            self._over.set_exception(error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error

    def _on_demand(self) -> None:
        """Go on, though not within the reader's own call."""
        self._over.get_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if not self._over.done():
            self._watchdog.paused = False
            self._watchdog.note_event()
            self._context.run(self._emit_rest)

    def _emit_rest(self) -> None:
        """Emit what was parsed and not wanted then, and go on."""
        try:
            is_more_wanted = self._emit()
        except BaseException as error:
            self._fail(error)
        else:
            if is_more_wanted:
                self._go_on()

    async def _read_on(self) -> None:
        """Read and emit, where the exchange does not tell when there is something to read."""
        while not self._is_over():
            self._chunks = iter(self._parse(await self._exchange.read()))
            while not self._emitter.push(self._chunks):
                self._watchdog.paused = True
                await self._emitter.gate.opened()
                self._watchdog.paused = False
                self._watchdog.note_event()
            self._check()

    def _is_over(self) -> bool:
        return self._at_end or self._parser.done

    def instead(self) -> ProviderError | None:
        """Return the error that quotes what came in place of events, if anything did."""
        lines = self._head.splitlines()
        quoted = b"\n".join(line for line in lines if line and not line.startswith(b":"))
        if self._parser.events or not quoted.strip():
            return None
        return no_stream(self._call, self._exchange, quoted)

    def _parse(self, data: bytes) -> list[StreamChunk]:
        parser, now = self._parser, time.time()
        self._at_end = not data
        if self._limit is not None:
            data = self._within(self._limit, data)
        events = parser.events
        chunks = parser.feed(data, now) if data else parser.flush(now)
        if parser.events != events or chunks:
            self._watchdog.note_event()
        elif events == 0 and len(self._head) < self._call.limits.error_bytes:
            self._head += data
        if not self.delivered:
            self.delivered = any(chunk.has_content for chunk in chunks)
        return chunks

    def _unreadable(self) -> ProviderError | None:
        """Return the error of a body that was never a stream, where framing does not tell."""
        is_decoding = isinstance(self._parser.error, StreamDecodeError)
        return self.instead() if is_decoding else None

    def _within(self, limit: int, data: bytes) -> bytes:
        self._received += len(data)
        over = self._received - limit
        return data[:-over] if over > 0 else data

    def _check(self) -> None:
        if self._parser.error is not None:
            raise self._unreadable() or self._parser.error
        if self._limit is not None and self._received > self._limit:
            raise LimitExceededError(
                f"The stream from {self._call.provider} is longer than {self._limit} bytes. What "
                "came before was delivered; raise Limits.stream_bytes.",
                provider=self._call.provider,
                request_id=request_id(self._exchange.headers),
            )
        if self._at_end and not self.complete:
            failure = self._exchange.failure or self.instead()
            raise failure or truncated(self._call, self._exchange)
