"""From an Observable to an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from types import TracebackType
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError, LimitExceededError
from rxagents.runtime.bridge import Bridge

T = TypeVar("T")

_UNGATED_LIMIT = 16_384
"""Items a source that ignores the gate may run ahead. With chunks this is some 10 MiB."""


class Overflow(StrEnum):
    """What happens when the consumer is slower than the stream.

    `BLOCK` stops reading from the provider until the consumer has caught up.
    """

    BLOCK = "block"


def to_aiter(
    source: Observable[T], *, capacity: int = 64, overflow: Overflow = Overflow.BLOCK
) -> AbstractAsyncContextManager[AsyncIterator[T]]:
    """Read an Observable with `async for`, at the reader's own pace.

    ::

        async with rxagents.to_aiter(stream) as chunks:
            async for chunk in chunks:
                ...

    Leaving the block disposes the subscription and waits until its tasks are over.

    Args:
        source: What to subscribe to, when the block is entered.
        capacity: How many items may wait for the reader before the source is stopped.
        overflow: What happens then.

    Returns:
        An asynchronous context manager of an asynchronous iterator. The iterator raises what
        the source fails with, after all items that came before; what an operator or callback
        on the way raised; and `LimitExceededError` when a source that cannot be stopped runs
        away from the reader.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.
    """
    if not isinstance(source, Observable):
        raise ConfigurationError(f"to_aiter reads an Observable, not {type(source).__name__}.")
    checked_count("capacity", capacity)
    if not isinstance(overflow, Overflow):
        raise ConfigurationError(f"overflow must be an rxagents.Overflow, not {overflow!r}.")
    return _Reading(source, capacity)


class _Reading(Generic[T]):
    """One reading of an Observable: the context manager and its iterator."""

    def __init__(self, source: Observable[T], capacity: int) -> None:
        self._source = source
        self._capacity = capacity
        self._low = capacity // 2
        self._limit = max(_UNGATED_LIMIT, 4 * capacity)
        self._items: deque[T] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._bridge: Bridge | None = None
        self._subscription: abc.DisposableBase | None = None

    async def __aenter__(self) -> AsyncIterator[T]:
        if self._bridge is not None:
            raise ConfigurationError("This to_aiter was entered before: make a new one.")
        bridge = self._bridge = Bridge(asyncio.get_running_loop(), self._on_error)
        self._gate = bridge.gate
        with bridge.entered():
            self._subscription = self._source.subscribe(
                self._on_next, self._on_error, self._on_completed, scheduler=bridge.scheduler
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._items.clear()
        self._end(None)
        if self._subscription is not None:
            self._subscription.dispose()
        if self._bridge is not None:
            await self._bridge.aclose()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        item = self._items.popleft()
        if self._gate.closed and len(self._items) <= self._low:
            self._gate.open()
        return item

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise ConfigurationError("Two tasks read one to_aiter: give each its own.")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _on_next(self, item: T) -> None:
        if self._ended:
            return
        self._items.append(item)
        waiting = len(self._items)
        if waiting >= self._capacity:
            self._gate.close()
            if waiting > self._limit:
                self._run_away()
        self._wake()

    def _run_away(self) -> None:
        self._items.pop()
        self._end(
            LimitExceededError(
                f"{self._limit} items wait for the reader, and the source cannot be stopped: an "
                "operator on the way lost the demand. Read faster, or raise capacity."
            )
        )
        if self._subscription is not None:
            self._subscription.dispose()

    def _on_error(self, error: Exception) -> None:
        self._end(error)

    def _on_completed(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
