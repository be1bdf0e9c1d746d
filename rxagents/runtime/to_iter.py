"""Read an Observable with a plain `for` loop, on a thread without an event loop.

Theory of operation:

The stream runs on an event loop of its own, on a thread of its own (the loop's thread); the reader
stands on another. Both use the buffer of `overflow.py` under one lock, so the policies and the
limits are those of `to_aiter`. The lock costs 0.1 us an item, a switch between the threads some
60 us (measured with `capacity=1`, where each item needs one). A switch happens only when the reader
waits for an item, or has emptied a full buffer down to `low`; with a capacity of 64, items of
`from_aiter` took 2 us each.

Three rules must stay:

- The loop's thread holds no reference to the `Iteration`, only to its `_Worker`. So a `for` loop
  that is left by `break` drops the last reference, and `weakref.finalize` ends the stream. The
  finalizer also runs at the end of the program, where a daemon thread would be cut off.
- `stop` waits until the thread has ended, and by then `asyncio.run` has closed the connections.
  A garbage collection may run the finalizer on any thread, also on that of a loop: there it must
  not wait.
- What ends the loop's thread ends the reader too (`_work`): else the reader would wait for ever.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from reactivex import Observable

from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.loop import is_loop_running, run_on_loop
from rxagents.runtime.overflow import Buffer, Overflow, buffer_for, checked_overflow
from rxagents.runtime.reporting import as_exception

T = TypeVar("T")


def to_iter(
    source: Observable[T], *, capacity: int = 64, overflow: Overflow = Overflow.BLOCK
) -> Iteration[T]:
    """Read an Observable with `for`, where no event loop is running: scripts, Flask, threads.

    The stream runs on an event loop of its own, on a thread of its own, with the context variables
    of the code that reads first. It ends when the block is left or `close` is called, and also when
    nothing refers to the iterator any more, as after a `break`; each of them waits until the
    stream's tasks and connections are closed. Ctrl-C ends the stream too.

    Args:
        source: The Observable; subscribed to when the block is entered, or at the first item.
        capacity: How many items may wait for the reader before `overflow` applies.
        overflow: What happens then. The default stops the source.

    Returns:
        An iterator, and a context manager of itself. Its `dropped` counts the items that it does
        not deliver. It raises the source's error, after all items before it; what an operator or
        callback on the way raised; `BackpressureError`, as `to_aiter` does; and
        `ConfigurationError` where an event loop is running, because waiting would block it.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.

    Example:
        >>> import reactivex as rx, rxagents
        >>> for letter in rxagents.to_iter(rx.of("a", "b")):
        ...     print(letter)
        a
        b
        >>> with rxagents.to_iter(rx.of("a", "b")) as letters:  # closes also after an exception
        ...     print(next(letters))
        a
    """
    if not isinstance(source, Observable):
        raise ConfigurationError(f"to_iter reads an Observable, not {type(source).__name__}.")
    checked_count("capacity", capacity)
    return Iteration(source, capacity, checked_overflow(overflow))


class Iteration(Iterator[T]):
    """Iterates over the items of one subscription; `to_iter` makes it."""

    def __init__(self, source: Observable[T], capacity: int, overflow: Overflow) -> None:
        self._worker = _Worker(source, capacity, overflow)
        self._finalizer = weakref.finalize(self, self._worker.stop)

    @property
    def dropped(self) -> int:
        """How many items arrived that the iterator does not deliver, for lack of room."""
        return self._worker.dropped

    def close(self) -> None:
        """End the stream, and wait until its tasks and connections are closed."""
        self._finalizer()

    def __next__(self) -> T:
        try:
            return self._worker.take()
        except (StopIteration, ConfigurationError):
            raise
        except BaseException:  # Ctrl-C: its traceback keeps the iterator, and with it the stream
            self.close()
            raise

    def __enter__(self) -> Self:
        if not self._finalizer.alive:
            raise ConfigurationError("This to_iter was closed. Call to_iter again for each block.")
        self._worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Worker(Generic[T]):
    """Runs the stream on its thread, and buffers its items for the reader."""

    def __init__(self, source: Observable[T], capacity: int, overflow: Overflow) -> None:
        self._source = source
        self._capacity = capacity
        self._overflow = overflow
        self._lock = threading.RLock()  # reentrant: a full buffer calls `_end` inside of `put`
        self._stopped = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._bridge: Bridge
        self._buffer: Buffer[T]
        self._left: asyncio.Event

    @property
    def dropped(self) -> int:
        return 0 if self._thread is None else self._buffer.dropped

    def start(self) -> None:
        """Start the thread, unless it was started; the stream is subscribed to there."""
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            if is_loop_running():
                raise ConfigurationError(
                    "to_iter would block the event loop that is running on this thread, as in a "
                    "coroutine or a notebook. Read the stream with async with "
                    "rxagents.to_aiter(stream) as items, and async for item in items."
                )
            self._loop = asyncio.new_event_loop()
            self._bridge = Bridge(self._loop, self._end)
            gate = self._bridge.gate
            self._buffer = buffer_for(self._overflow, self._capacity, gate, self._end)
            self._bridge.waiting = self._buffer.queue.__len__
            self._left = asyncio.Event()
            work = partial(copy_context().run, self._work)
            thread = threading.Thread(target=work, name="rxagents to_iter", daemon=True)
            thread.start()
            self._thread = thread

    def take(self) -> T:
        """Return the next item; wait for it, or for the end of the stream's tasks.

        Raises:
            StopIteration: The stream has ended, or the iterator was closed.
        """
        self.start()
        while not self._stopped:
            with self._lock:
                queue, gate = self._buffer.queue, self._bridge.gate
                if queue:
                    item = queue.popleft()
                    if gate.closed and len(queue) == self._buffer.low:
                        run_on_loop(self._loop, gate.open)
                    return item
                if self._buffer.ended:
                    break
                if self._buffer.waiter is not None:
                    raise ConfigurationError(
                        "Two threads read from one to_iter at the same time. Call it once for each."
                    )
                waiter: Future[None] = Future()
                self._buffer.waiter = waiter
            waiter.result()
        self.stop()
        error, self._error = self._error, None
        raise StopIteration if error is None else error

    def stop(self) -> None:
        """Dispose the subscription, and wait for the thread's end unless a loop runs here."""
        with self._lock:
            self._stopped = True
            if self._thread is None:
                return
            self._buffer.queue.clear()
            self._end()
        if not is_loop_running() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._read())
        except (KeyboardInterrupt, SystemExit) as error:
            self._end()
            self._error = error  # replaces what the loop, when it was closed, made of it
        except BaseException as error:
            self._end(error)
        else:
            self._end()

    async def _read(self) -> None:
        if self._left.is_set():
            return
        with self._bridge.entered():
            subscription = self._source.subscribe(
                self._put, self._end, self._end, scheduler=self._bridge.scheduler
            )
        try:
            await self._left.wait()
        finally:
            subscription.dispose()
            await self._bridge.aclose()

    def _put(self, item: T) -> None:
        with self._lock:
            self._buffer.put(item)

    def _end(self, error: BaseException | None = None) -> None:
        with self._lock:
            if not self._buffer.ended:
                self._buffer.ended = True
                self._error = None if error is None else as_exception(error)
            self._buffer.wake()
        run_on_loop(self._loop, self._left.set)
