"""`RunQueue`: a waiting run keeps its own context, bridge and loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from matrix import only_full
from observing import Seen, settle
from queued_runs import Runs
from reactivex import Observable, Subject
from reactivex import operators as rx_ops
from running import run_async

import rxagents
from rxagents.agents.queue import RunQueue
from rxagents.runtime.last_value import last_value
from rxagents.runtime.timed_scope import TimedScope, timed

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


async def test_run_sees_its_own_context() -> None:
    queue = RunQueue()
    users: list[str] = []
    gate: Subject[str] = Subject()

    def subscribe(user: str, source: Observable[str]) -> None:
        USER.set(user)

        def begin(_: object) -> Observable[str]:
            users.append(USER.get())
            return source

        queue.queued("a", rx.defer(begin)).subscribe()

    for user, source in (("eva", gate), ("ada", rx.empty())):
        contextvars.copy_context().run(subscribe, user, source)
    await settle()
    contextvars.copy_context().run(gate.on_completed)
    await settle()
    assert users == ["eva", "ada"]


class Payload:
    """What one run holds."""


@pytest.mark.parametrize("keys", [("a",), pytest.param(("a", "b", "c"), marks=only_full)])
async def test_chained_runs_are_freed(keys: tuple[str, ...]) -> None:
    queue = RunQueue()
    alive: weakref.WeakSet[Payload] = weakref.WeakSet()
    most, over = 0, asyncio.Event()

    def start(number: int) -> None:
        nonlocal most
        gc.collect()
        most = max(most, len(alive))
        if number == 50:
            over.set()
            return
        payload = Payload()
        alive.add(payload)
        run = rx.just(payload)
        key = keys[number % len(keys)]
        queue.queued(key, run).subscribe(on_completed=lambda: start(number + 1))

    start(0)
    await over.wait()
    assert most <= 3


async def test_run_keeps_its_own_bridge() -> None:
    queue = RunQueue()
    runs = Runs(queue)
    reading = rxagents.to_aiter(runs.of("a", "1"))
    async with reading as items:
        ticking = rx.defer(lambda _: rxagents.from_aiter(_slowly))
        second = Seen(queue.queued("a", ticking))
        await settle()
        runs.end("1")
        assert [item async for item in items] == ["1"]
        await settle()
    await second.over.wait()
    assert second.notes == [1, 2, "end"]


async def _slowly() -> Any:
    for number in (1, 2):
        await asyncio.sleep(1)
        yield number


def test_missing_loop_blocks_no_run() -> None:
    queue = RunQueue()
    errors: list[Exception] = []
    queue.queued("a", rx.just(1)).subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [rxagents.ConfigurationError]
    assert run_async(last_value(queue.queued("a", rx.just(1)))) == 1


def never() -> Observable[Any]:
    """Return a source with a timer and no task: the end of the loop does not end it."""

    def subscribe(_: Any, scope: TimedScope) -> None:
        scope.timer(lambda: None).start(1000)

    return timed(subscribe)


def abandon(subscribe: Callable[[], Any]) -> list[Any]:
    """Subscribe on a loop that then ends; return the references that keep the subscription."""

    async def leave() -> Any:
        kept = subscribe()
        await settle()
        return kept

    return [asyncio.run(leave())]


def test_run_of_closed_loop_is_skipped() -> None:
    queue = RunQueue()
    kept = abandon(lambda: [queue.queued("a", never()).subscribe() for _ in range(3)])
    assert run_async(last_value(queue.queued("a", rx.just(1)))) == 1
    kept[0][0].dispose()
    assert queue._tickets == {}


def test_later_run_wakes_the_waiting() -> None:
    queue = RunQueue()
    started = threading.Event()

    async def wait_for_both() -> None:
        first = Seen(queue.queued("a", rx.just("first")))
        await settle()
        assert first.notes == []
        started.set()
        await asyncio.to_thread(thread.join)  # its loop ends without notice
        second = Seen(queue.queued("a", rx.just("second")))
        await asyncio.wait_for(second.over.wait(), 5)
        assert first.notes == ["first", "end"]

    async def hold() -> None:
        queue.queued("a", never()).subscribe()
        await settle()
        entered.set()
        await asyncio.to_thread(started.wait, 5)

    entered = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    assert entered.wait(5)
    asyncio.run(wait_for_both())


def test_runs_of_several_threads_queue() -> None:
    queue = RunQueue()
    running: list[int] = []
    most: list[int] = []

    def work(number: int) -> Observable[int]:
        def begin(_: object) -> Observable[int]:
            running.append(number)
            most.append(len(running))
            return rxagents.from_aiter(_slowly).pipe(rx_ops.do_action(on_completed=leave))

        def leave() -> None:
            running.remove(number)

        return queue.queued("a", rx.defer(begin))

    async def three(thread: int) -> None:
        await asyncio.gather(*(last_value(work(10 * thread + run)) for run in range(3)))

    threads = [
        threading.Thread(target=lambda each=each: run_async(three(each)), daemon=True)
        for each in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 12
