"""The clock, timers and sources of one `TimedScope`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from observing import Seen, in_thread, pending
from reactivex import abc
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler, HistoricalScheduler, NewThreadScheduler
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxagents import ConfigurationError, from_aiter, to_aiter
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.testing.virtual_time import virtual_loop


def broken() -> None:
    raise KeyError("mine")


def ignore(_: object = None) -> None: ...


# The clock.


@pytest.mark.parametrize("scheduler", [None, CurrentThreadScheduler(), NewThreadScheduler()])
async def test_real_time_is_the_running_loops(
    scheduler: abc.SchedulerBase | None,
) -> None:
    scope = TimedScope(scheduler)
    threads: list[int] = []
    scope.timer(lambda: threads.append(threading.get_ident())).start(7)
    await asyncio.sleep(6.9)
    assert scope.now() == pytest.approx(6.9)
    assert threads == []
    await asyncio.sleep(0.2)
    assert threads == [threading.get_ident()]
    assert scope.scheduler is scheduler


@pytest.mark.parametrize("scheduler", [None, CurrentThreadScheduler()])
def test_scope_without_loop_is_refused(scheduler: abc.SchedulerBase | None) -> None:
    with pytest.raises(ConfigurationError, match=r"rxagents\.run"):
        TimedScope(scheduler)


@pytest.mark.parametrize("make", [TestScheduler, HistoricalScheduler])
def test_virtual_time_is_exact(make: Callable[[], Any]) -> None:
    scheduler = make()
    scope = TimedScope(scheduler)
    start, times = scope.now(), list[float]()
    for seconds in (0.3, 0.1, 0.25, 5):
        scope.timer(lambda: times.append(scope.now() - start)).start(seconds)
    scheduler.start()
    assert times == pytest.approx([0.1, 0.25, 0.3, 5], abs=1e-6)


# Timers.


def test_restarted_timer_acts_once() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    times: list[float] = []
    timer = scope.timer(lambda: times.append(scope.now()))
    for seconds in (5, 50, 20):
        timer.start(seconds)
    assert timer.is_pending
    scheduler.start()
    assert times == [20]
    assert not timer.is_pending


def test_stopped_timer_can_start_again() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    times: list[float] = []
    timer = scope.timer(lambda: times.append(scope.now()))
    timer.start(5)
    timer.stop()
    assert not timer.is_pending
    assert not pending(scheduler)
    timer.start(7)
    scheduler.start()
    assert times == [7]


@pytest.mark.parametrize("virtual", [True, False])
async def test_disposed_scope_runs_no_timer(virtual: bool) -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler if virtual else None)
    acted: list[int] = []
    timer = scope.timer(lambda: acted.append(1))
    timer.start(5)
    scope.timer(lambda: acted.append(2)).start(5)
    for _ in range(2):
        scope.dispose()
    timer.start(1)
    scope.timer(lambda: acted.append(3)).start(1)
    scheduler.start()
    await asyncio.sleep(20)
    assert acted == []
    assert scope.is_disposed


async def test_thread_dispose_stops_a_due_timer() -> None:
    """The loop's thread cancels the timer, and may be about to run it."""
    loop = virtual_loop()
    scope = TimedScope(None)
    acted: list[int] = []
    scope.timer(lambda: acted.append(1)).start(5)
    in_thread(scope.dispose)
    loop.hold(10)
    await asyncio.sleep(1)
    assert acted == []


# Exceptions.


async def test_timer_error_ends_the_scope(
    loop_errors: list[Exception],
) -> None:
    scope = TimedScope(None)
    later: list[int] = []
    scope.timer(broken).start(5)
    scope.timer(lambda: later.append(1)).start(6)
    await asyncio.sleep(20)
    assert scope.is_disposed
    assert later == []
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


async def test_awaiting_code_raises_timer_error() -> None:
    def subscribe(_: abc.ObserverBase[int], scope: TimedScope) -> None:
        scope.timer(broken).start(5)

    async with to_aiter(timed(subscribe)) as items:
        with pytest.raises(KeyError):
            await anext(items)


async def test_timer_error_after_close_is_reported(
    loop_errors: list[Exception],
) -> None:
    bridge = Bridge(asyncio.get_running_loop(), ignore)
    scope = TimedScope(bridge.scheduler)
    scope.timer(broken).start(5)
    bridge.close()
    await asyncio.sleep(20)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


def test_virtual_time_raises_timer_error() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    scope.timer(broken).start(5)
    with pytest.raises(KeyError):
        scheduler.start()
    assert scope.is_disposed


def test_on_next_error_ends_everything() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    sources: list[Subject[int]] = [Subject(), Subject()]
    for source in sources:
        scope.subscribe(source, lambda _: broken(), ignore, ignore)
    scope.timer(ignore).start(5)
    with pytest.raises(KeyError):
        sources[0].on_next(1)
    assert [source.observers for source in sources] == [[], []]
    assert not pending(scheduler)


async def test_failed_subscribe_leaves_no_timer() -> None:
    def subscribe(_: abc.ObserverBase[int], scope: TimedScope) -> None:
        scope.timer(broken).start(5)
        raise OSError("no")

    seen = Seen(timed(subscribe))
    await asyncio.sleep(20)
    assert [type(note) for note in seen.notes] == [OSError]


# Sources.


def test_failed_sources_are_released() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    failures: list[Exception] = []
    for _ in range(100):
        scope.subscribe(rx.throw(OSError()), ignore, failures.append, ignore)
    assert len(scope._held) == 100
    scheduler.start()
    assert len(failures) == 100
    assert len(scope._held) == 0


def test_item_after_the_end_is_dropped() -> None:
    def subscribe(observer: abc.ObserverBase[int], _: object = None) -> abc.DisposableBase:
        observer.on_next(1)
        observer.on_completed()
        observer.on_next(2)
        observer.on_completed()
        return Disposable()

    items, scope = list[object](), TimedScope(TestScheduler())
    scope.subscribe(
        rx.Observable(subscribe), items.append, items.append, lambda: items.append("end")
    )
    assert items == [1, "end"]


async def test_dispose_ends_everything_held() -> None:
    scope = TimedScope(None)
    closed: list[str] = []
    scope.hold(rx.disposable.Disposable(lambda: closed.append("held")))

    async def stall() -> Any:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            closed.append("source")

    scope.subscribe(from_aiter(stall), ignore, ignore, ignore)
    await asyncio.sleep(1)
    scope.dispose()
    await asyncio.sleep(1)
    assert closed == ["held", "source"]


def test_timer_stops_after_its_scope() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    times: list[float] = []
    timer = scope.timer(lambda: times.append(scope.now()))
    timer.start(5)
    scope.dispose()
    timer.stop()
    scheduler.start()
    assert times == []


@pytest.mark.parametrize("ending", [rx.empty(), rx.throw(KeyError("its own"))])
async def test_scope_forgets_ended_sources(ending: rx.Observable[int]) -> None:
    scope = TimedScope(None)
    for _ in range(5):
        scope.subscribe(ending, ignore, ignore, ignore)
    assert scope._held.length == 0
