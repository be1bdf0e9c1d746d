"""Read an Observable with `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar

from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.overflow import Buffer, Overflow, buffer_for, checked_overflow
from rxagents.runtime.reporting import as_exception

T = TypeVar("T")


def to_aiter(
    source: Observable[T], *, capacity: int = 64, overflow: Overflow = Overflow.BLOCK
) -> AbstractAsyncContextManager[Reading[T]]:
    """Read an Observable with `async for`, at the reader's own pace.

    Leaving the block disposes the subscription, and waits until its tasks are over.

    Args:
        source: The Observable; subscribed to when the block is entered.
        capacity: How many items may wait for the reader before `overflow` applies.
        overflow: What happens then. The default stops the source.

    Returns:
        An asynchronous context manager of an asynchronous iterator. The iterator's `dropped`
        counts the items that it does not deliver. The iterator raises the source's error, after
        all items before it; what an operator or callback on the way raised; and
        `BackpressureError`, when more items wait than the policy allows, or the source does not
        stop and too many wait.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.

    Example:
        >>> import asyncio, reactivex as rx, rxagents
        >>> async def main():
        ...     async with rxagents.to_aiter(rx.of("a", "b")) as letters:
        ...         async for letter in letters:
        ...             print(letter)
        >>> asyncio.run(main())
        a
        b
    """
    if not isinstance(source, Observable):
        raise ConfigurationError(f"to_aiter reads an Observable, not {type(source).__name__}.")
    checked_count("capacity", capacity)
    checked_overflow(overflow)
    return _Block(source, capacity, overflow)


class Reading(AsyncIterator[T]):
    """Iterates over the items of one subscription; `to_aiter` makes it."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self._bridge = Bridge(asyncio.get_running_loop(), self._end)
        self._buffer: Buffer[T] = buffer_for(
            overflow, capacity, self._bridge.gate, self._on_overflow
        )
        self._queue, self._low = self._buffer.queue, self._buffer.low
        self._gate = self._bridge.gate
        self._bridge.waiting = self._queue.__len__
        self._subscription = SingleAssignmentDisposable()
        self._error: Exception | None = None
        self._waiting = False

    @property
    def dropped(self) -> int:
        """How many items arrived that the iterator does not deliver, for lack of room."""
        return self._buffer.dropped

    def start(self, source: Observable[T]) -> None:
        """Subscribe to `source`."""
        with self._bridge.entered():
            self._subscription.disposable = source.subscribe(
                self._buffer.put, self._end, self._end, scheduler=self._bridge.scheduler
            )

    async def aclose(self) -> None:
        """Dispose the subscription and wait until its tasks are over."""
        self._queue.clear()
        self._end()
        self._subscription.dispose()
        await self._bridge.aclose()

    def take_waiting(self) -> list[T]:
        """Return the items that wait, without waiting for more; none if there are none."""
        queue = self._queue
        items = [queue.popleft() for _ in range(len(queue))]
        if self._gate.closed:
            self._gate.open()
        return items

    async def __anext__(self) -> T:
        while not self._queue:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._buffer.ended:
                raise StopAsyncIteration
            await self._wait()
        item = self._queue.popleft()
        if self._gate.closed and len(self._queue) <= self._low:
            self._gate.open()
        return item

    async def _wait(self) -> None:
        if self._waiting:
            raise ConfigurationError(
                "Two tasks read from one to_aiter at the same time. Enter one for each task."
            )
        self._waiting = True
        self._buffer.waiter = waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiting = False
            self._buffer.waiter = None

    def _on_overflow(self, error: Exception) -> None:
        self._end(error)
        self._subscription.dispose()

    def _end(self, error: Exception | None = None) -> None:
        if not self._buffer.ended:
            self._buffer.ended = True
            self._error = None if error is None else as_exception(error)
        self._buffer.wake()


class _Block(Generic[T]):
    """The context manager around a `Reading`."""

    def __init__(self, source: Observable[T], capacity: int, overflow: Overflow) -> None:
        self._source: Observable[T] | None = source
        self._capacity = capacity
        self._overflow = overflow
        self._reading: Reading[T] | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        raise ConfigurationError(
            "to_aiter is read inside its block: async with rxagents.to_aiter(stream) as items, "
            "and then async for item in items."
        )

    async def __aenter__(self) -> Reading[T]:
        source, self._source = self._source, None  # it may hold the conversation
        if source is None:
            raise ConfigurationError(
                "This to_aiter was entered before. Call to_aiter again for each block."
            )
        self._reading = Reading(self._capacity, self._overflow)
        self._reading.start(source)
        return self._reading

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._reading is not None:
            await self._reading.aclose()
