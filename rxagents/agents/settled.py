"""Wait in a run's pipe for a value that a store returns at once or later."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Generator
from typing import TypeVar

from reactivex import operators as rx_ops

from rxagents.agents.turns import Events
from rxagents.core.events import StreamEvent
from rxagents.runtime.source import Emitter, task_source

T = TypeVar("T")


def settled(value: T | Awaitable[T]) -> Generator[Events, None, T]:
    """Return a value; if it has to be awaited, yield a stage that awaits it and emits nothing.

    A value that is there costs no stage and no task, and needs no event loop. `dispose` cancels an
    awaited one.

    Args:
        value: The value, or an awaitable of it.
    """
    if not isinstance(value, Awaitable):
        return value
    results: list[T] = []

    async def produce(_: Emitter[StreamEvent]) -> None:
        results.append(await value)

    yield task_source(produce).pipe(rx_ops.finally_action(lambda: _close(value)))
    return results[0]


_awaited: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references to tasks


def await_later(value: Awaitable[None] | None) -> None:
    """Await a value in a task of its own, for a run that was disposed and has no stages left.

    Without a running loop (virtual time, or `dispose` on another thread) the value is dropped.
    """
    if not isinstance(value, Awaitable):
        return
    try:
        _started(value)
    except RuntimeError:
        _close(value)


def outlasting(value: Awaitable[None] | None) -> Awaitable[None] | None:
    """Return a value to wait for, which goes on when the run that waits for it is disposed."""
    if not isinstance(value, Awaitable):
        return value
    task = _started(value)

    async def result() -> None:
        await asyncio.wait({task})
        task.result()

    return result()


def _started(value: Awaitable[None]) -> asyncio.Task[None]:
    """Await a value in a task of its own.

    Raises:
        RuntimeError: No loop is running.
    """
    loop = asyncio.get_running_loop()

    async def wait() -> None:
        await value

    task = loop.create_task(wait())
    _awaited.add(task)
    task.add_done_callback(_awaited.discard)
    return task


def _close(value: Awaitable[object]) -> None:
    """End a coroutine that was disposed before it began: Python warns of one that never began."""
    if inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
        value.close()
    elif isinstance(value, asyncio.Future):
        value.cancel()
