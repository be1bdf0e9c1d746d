"""Wait in a run's pipe for a value that a store returns at once or later."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from reactivex import operators as rx_ops

from rxagents.agents.turns import Events
from rxagents.core.events import StreamEvent
from rxagents.runtime.loop import run_on_loop
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


_awaited: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references to tasks


def await_later(value: Awaitable[None] | None, loop: asyncio.AbstractEventLoop | None) -> None:
    """Await a value in a task of its own, for a run that was disposed and has no stages left.

    Args:
        value: The value. Any thread may call this, such as the one that disposes the run.
        loop: The run's loop. If it is closed, or `None` in virtual time, the value is dropped.
    """
    if not isinstance(value, Awaitable):
        return
    if loop is None or loop.is_closed():
        _close(value)
    else:
        run_on_loop(loop, started, value)


def outlasting(value: Awaitable[None] | None) -> Awaitable[None] | None:
    """Return a value to wait for, which goes on when the run that waits for it is disposed."""
    return result_of(started(value)) if isinstance(value, Awaitable) else value


async def result_of(task: asyncio.Task[T]) -> T:
    """Return the result of a task, which goes on when its waiter is cancelled."""
    await asyncio.wait({task})
    return task.result()


def started(value: Awaitable[T]) -> asyncio.Task[T]:
    """Await a value in a task of its own.

    Raises:
        RuntimeError: No loop is running.
    """
    loop = asyncio.get_running_loop()

    async def wait() -> T:
        return await value

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
