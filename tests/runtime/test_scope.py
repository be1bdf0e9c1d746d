"""Tasks of a subscription: eager task factories, and cancellation."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import Any

from observing import Seen
from reactivex import operators as rx_ops
from reactivex.disposable import SingleAssignmentDisposable

import rxagents
from rxagents import from_aiter


def run_first_step_at_once(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **_: Any
) -> asyncio.Task[Any]:
    """Make a task as `asyncio.eager_task_factory` does, which Python 3.11 lacks."""
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        return asyncio.Task(asyncio.sleep(0, end.value), loop=loop)
    return asyncio.Task(rest_of(work, waits_for), loop=loop)


@types.coroutine
def rest_of(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    while True:
        try:
            try:
                value = yield waits_for
            except BaseException as error:
                waits_for = work.throw(error)
            else:
                waits_for = work.send(value)
        except StopIteration as end:
            return end.value


async def numbers() -> AsyncIterator[int]:
    for number in range(3):
        yield number


def use_eager_tasks() -> None:
    factory: Any = getattr(asyncio, "eager_task_factory", run_first_step_at_once)
    asyncio.get_running_loop().set_task_factory(factory)


async def test_eager_tasks_emit_after_subscribe() -> None:
    use_eager_tasks()
    seen = Seen(from_aiter(numbers))
    assert seen.notes == []
    await seen.over.wait()
    assert seen.notes == [0, 1, 2, "end"]


async def test_eager_task_stops_at_dispose() -> None:
    use_eager_tasks()
    items: list[int] = []
    subscription = SingleAssignmentDisposable()

    def on_next(item: int) -> None:
        items.append(item)
        subscription.dispose()

    subscription.disposable = from_aiter(numbers).subscribe(on_next)
    await asyncio.sleep(1)
    assert items == [0]


async def test_eager_task_disposed_before_start() -> None:
    use_eager_tasks()
    calls: list[Any] = []

    def iterate() -> AsyncIterator[int]:
        calls.append("iterate")
        return numbers()

    from_aiter(iterate).subscribe(calls.append).dispose()
    await asyncio.sleep(1)
    assert calls == []


async def test_eager_task_cancelled_before_start() -> None:
    use_eager_tasks()
    before = asyncio.all_tasks()
    seen = Seen(from_aiter(numbers))
    (task,) = asyncio.all_tasks() - before
    task.cancel()
    await seen.over.wait()
    assert [type(note) for note in seen.notes] == [rxagents.StreamCancelledError]


async def test_cleanup_is_cancelled_once() -> None:
    steps: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            steps.append("begin")
            await asyncio.sleep(1)
            steps.append("end")

    async with rxagents.to_aiter(from_aiter(source).pipe(rx_ops.take(1))) as items:
        assert [item async for item in items] == [1]
        await asyncio.sleep(0.5)  # `take` has disposed the source, and leaving does it again
    assert steps == ["begin", "end"]
