"""From an Observable to an asynchronous iterator."""

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
from rxagents.runtime.overflow import Backlog, Overflow, backlog

T = TypeVar("T")


def to_aiter(
    source: Observable[T], *, capacity: int = 64, overflow: Overflow = Overflow.BLOCK
) -> AbstractAsyncContextManager[Reading[T]]:
    """Read an Observable with `async for`, at the reader's own pace.

    ::

        async with rxagents.to_aiter(stream) as chunks:
            async for chunk in chunks:
                ...

    Leaving the block disposes the subscription and waits until its tasks are over.

    Args:
        source: What to subscribe to, when the block is entered.
        capacity: How many items may wait for the reader before `overflow` sets in.
        overflow: What happens then: by default the source is stopped.

    Returns:
        An asynchronous context manager of an asynchronous iterator, whose `dropped` counts the
        items that it will not give. The iterator raises what the source fails with, after the
        items that came before; what an operator or callback on the way raised; and
        `BackpressureError` when the reader falls further behind than the policy allows, or a
        source that cannot be stopped runs away from it.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.
    """
    if not isinstance(source, Observable):
        raise ConfigurationError(f"to_aiter reads an Observable, not {type(source).__name__}.")
    checked_count("capacity", capacity)
    if not isinstance(overflow, Overflow):
        raise ConfigurationError(f"overflow must be an rxagents.Overflow, not {overflow!r}.")
    return _Block(source, capacity, overflow)


class Reading(AsyncIterator[T]):
    """One reading of an Observable, as `to_aiter` gives it."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self._bridge = Bridge(asyncio.get_running_loop(), self._end)
        self._backlog: Backlog[T] = backlog(
            overflow, capacity, self._bridge.gate, self._fall_behind
        )
        self._queue, self._low = self._backlog.queue, self._backlog.low
        self._gate = self._bridge.gate
        self._subscription = SingleAssignmentDisposable()
        self._error: Exception | None = None
        self._waiting = False

    @property
    def dropped(self) -> int:
        """How many items came that the iterator does not give, since they found no room."""
        return self._backlog.dropped

    def start(self, source: Observable[T]) -> None:
        """Subscribe to `source`."""
        with self._bridge.entered():
            self._subscription.disposable = source.subscribe(
                self._backlog.put, self._end, self._end, scheduler=self._bridge.scheduler
            )

    async def aclose(self) -> None:
        """Dispose the subscription and wait until its tasks are over."""
        self._queue.clear()
        self._end()
        self._subscription.dispose()
        await self._bridge.aclose()

    async def __anext__(self) -> T:
        while not self._queue:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._backlog.ended:
                raise StopAsyncIteration
            await self._wait()
        item = self._queue.popleft()
        if self._gate.closed and len(self._queue) <= self._low:
            self._gate.open()
        return item

    async def _wait(self) -> None:
        if self._waiting:
            raise ConfigurationError("Two tasks read one to_aiter: give each its own.")
        self._waiting = True
        self._backlog.waiter = waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiting = False
            self._backlog.waiter = None

    def _fall_behind(self, error: Exception) -> None:
        self._end(error)
        self._subscription.dispose()

    def _end(self, error: Exception | None = None) -> None:
        if not self._backlog.ended:
            self._backlog.ended = True
            self._error = error
        self._backlog.wake()


class _Block(Generic[T]):
    """The context manager around a reading."""

    def __init__(self, source: Observable[T], capacity: int, overflow: Overflow) -> None:
        self._source = source
        self._capacity = capacity
        self._overflow = overflow
        self._reading: Reading[T] | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        raise ConfigurationError(
            "Enter to_aiter before you read: async with rxagents.to_aiter(stream) as items, and "
            "then async for item in items."
        )

    async def __aenter__(self) -> Reading[T]:
        if self._reading is not None:
            raise ConfigurationError("This to_aiter was entered before: make a new one.")
        self._reading = Reading(self._capacity, self._overflow)
        self._reading.start(self._source)
        return self._reading

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._reading is not None:
            await self._reading.aclose()
