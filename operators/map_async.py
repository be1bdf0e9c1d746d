"""Await a coroutine function for each item."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from reactivex import Observable

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.overflow import Overflow
from rxagents.runtime.source import Emitter, task_source
from rxagents.runtime.to_aiter import to_aiter

T = TypeVar("T")
R = TypeVar("R")


@operator_factory
def map_async(
    function: Callable[[T], Coroutine[Any, Any, R]],
    *,
    concurrency: int = 1,
    capacity: int = 64,
    overflow: Overflow = Overflow.BLOCK,
) -> Callable[[Observable[T]], Observable[R]]:
    """Await a coroutine function for each item and emit its results, in the items' order.

    While the function is busy the source is slowed down to the socket, unless `overflow` says
    otherwise.

    .. marble::
        --1--2--3--|
        [ map_async(work) ]
        -------a----b----(c|)
        time: 1 s per character
        legend: work = a call that takes 5 s

    Emits when: the results of the item and of all items before it are there.
    Backpressures when: `capacity` items wait for the function, or downstream does.
    Completes when: the source has completed and every result was emitted.

    Args:
        function: The coroutine function.
        concurrency: How many of its calls may run at a time.
        capacity: How many items may wait for a call.
        overflow: What happens when more items come than may wait.

    Returns:
        An operator from items to results, on the running loop.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the stream,
            if `function` returns something that cannot be awaited, or no event loop is running.
        BackpressureError: In the stream, if `overflow` is `Overflow.ERROR` and more than
            `capacity` items wait.
        Exception: In the stream, whatever `function` raises. The source's errors pass, after the
            results of the items before them.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> async def shout(text: str) -> str:
        ...     return text.upper()
        >>> rxagents.run(rx.of("a", "b").pipe(ops.map_async(shout)), print)
        A
        B
        'B'
    """
    checked_function("function", function)
    checked_count("concurrency", concurrency)
    checked_count("capacity", capacity)
    if not isinstance(overflow, Overflow):
        raise ConfigurationError(f"overflow must be an rxagents.Overflow, not {overflow!r}.")

    def map_async_(source: Observable[T]) -> Observable[R]:
        async def produce(emitter: Emitter[R]) -> None:
            async with to_aiter(source, capacity=capacity, overflow=overflow) as items:
                async with aclosing(_results(items, function, concurrency)) as results:
                    async for result in results:
                        await emitter.emit((result,))

        return task_source(produce)

    return map_async_


async def _results(
    items: AsyncIterator[T], function: Callable[[T], Coroutine[Any, Any, R]], concurrency: int
) -> AsyncGenerator[R, None]:
    """Yield the results in order; run at most `concurrency` calls, and leave none behind."""
    calls: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    slots = asyncio.Semaphore(concurrency)
    tasks: set[asyncio.Task[Any]] = set()

    async def call_all() -> None:
        try:
            async for item in items:
                await slots.acquire()
                call = asyncio.create_task(_call(function, item))
                tasks.add(call)
                calls.put_nowait(call)
        finally:
            calls.put_nowait(None)

    reader = asyncio.create_task(call_all())
    tasks.add(reader)
    try:
        while (call := await calls.get()) is not None:
            await asyncio.wait({call})  # not `await call`: the call may suppress its cancellation
            yield call.result()
            tasks.discard(call)
            slots.release()
        await reader
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _call(function: Callable[[T], Coroutine[Any, Any, R]], item: T) -> R:
    work = function(item)
    if not inspect.isawaitable(work):
        raise ConfigurationError(
            f"The function of map_async returned {type(work).__name__}, which cannot be awaited: "
            "give it a coroutine function, or use reactivex's map."
        )
    return await work
