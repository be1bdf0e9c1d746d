"""Test `timeout_idle`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen, pending
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import IdleTimeoutError, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.runtime.bridge import Bridge
from rxagents.testing.virtual_time import virtual_loop

on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe
on_next: Any = ReactiveTest.on_next


def test_silence_after_item_fails_in_time() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(400, "a"), on_next(440, "b"))
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_idle(50)))
    *before, last = observer.messages
    assert before == [on_next(400, "a"), on_next(440, "b")]
    assert last.time == 490
    assert type(last.value.exception) is IdleTimeoutError
    assert source.subscriptions == [subscribe(200, 490)]


def test_no_limit_before_first_item() -> None:
    scheduler = TestScheduler()
    notes = [on_next(900, "a"), on_completed(940)]
    source = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_idle(50)))
    assert observer.messages == notes


@given(
    gaps=st.lists(st.integers(1, 120).map(lambda tenths: tenths / 10), min_size=1, max_size=20),
    limit=st.integers(1, 120).map(lambda tenths: tenths / 10),
)
def test_first_longer_gap_fails(gaps: list[float], limit: float) -> None:
    """Float sums of tenths are inexact: the timer must neither fire early nor spin for ever."""
    scheduler = TestScheduler()
    times = [round(200.05 + sum(gaps[:count]), 6) for count in range(len(gaps) + 1)]
    source = scheduler.create_hot_observable(*[on_next(time, time) for time in times])
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_idle(limit + 0.03)))
    *items, last = observer.messages
    kept = next((n for n, gap in enumerate(gaps) if gap > limit), len(gaps))
    assert items == [on_next(time, time) for time in times[: kept + 1]]
    assert last.time == pytest.approx(times[kept] + limit + 0.03, abs=1e-5)
    assert isinstance(last.value.exception, IdleTimeoutError)
    assert not pending(scheduler)


def test_one_timer_serves_all_items() -> None:
    scheduler = TestScheduler()
    notes = [on_next(201 + count, count) for count in range(100)]
    source = scheduler.create_hot_observable(*notes)
    seen: list[int] = []
    scheduler.schedule_absolute(305, lambda *_: seen.append(len(scheduler._queue)))
    scheduler.start(lambda: source.pipe(ops.timeout_idle(500)))
    assert seen == [2]  # the timer, and the test's end


class Slow:
    """Emits one item per second and counts."""

    def __init__(self) -> None:
        self.made = 0

    async def __call__(self) -> AsyncIterator[int]:
        while True:
            self.made += 1
            yield self.made
            await asyncio.sleep(1)


async def test_slow_reader_is_no_silence() -> None:
    """Also if the gate opens between two checks of the timer, or just before one."""
    slow = Slow()
    async with to_aiter(from_aiter(slow).pipe(ops.timeout_idle(3)), capacity=2) as items:
        for pause in (0, 0, 2.5, 2.9, 2.99, 3.5, 5.9, 100, 8.99):
            await asyncio.sleep(pause)
            await anext(items)
            await anext(items)


@pytest.mark.parametrize("opened", [3.0, 9.0, 11.0, 19.0, 19.9, 20.1, 95.0])
async def test_wait_begins_with_new_demand(opened: float) -> None:
    loop = asyncio.get_running_loop()
    bridge = Bridge(loop, lambda _: None)
    failed: list[float] = []
    source: Subject[int] = Subject()

    source.pipe(ops.timeout_idle(10)).subscribe(
        lambda _: bridge.gate.close(),
        lambda _: failed.append(loop.time()),
        scheduler=bridge.scheduler,
    )
    source.on_next(1)
    loop.call_later(opened, bridge.gate.open)
    await asyncio.sleep(200)
    assert failed == [pytest.approx(opened + 10)]


async def test_often_closed_gate_watched_once() -> None:
    bridge = Bridge(asyncio.get_running_loop(), lambda _: None)
    source: Subject[int] = Subject()
    subscription = source.pipe(ops.timeout_idle(10)).subscribe(
        lambda _: bridge.gate.close(), scheduler=bridge.scheduler
    )
    for number in range(100):
        source.on_next(number)
    assert len(bridge.gate._callbacks) == 1
    await asyncio.sleep(100)
    assert len(bridge.gate._callbacks) == 1
    subscription.dispose()
    bridge.close()
    assert not bridge.gate._callbacks


async def test_blocking_consumer_costs_no_time() -> None:
    loop = virtual_loop()
    source: Subject[int] = Subject()
    seen = Seen(source.pipe(ops.timeout_idle(10), ops.tap_safely(lambda _: loop.hold(30))))
    loop.call_later(1, source.on_next, 1)
    loop.call_later(40, source.on_next, 2)
    await seen.over.wait()
    assert [type(note) for note in seen.notes] == [int, int, IdleTimeoutError]
    assert loop.time() == pytest.approx(40 + 30 + 10)


async def test_items_behind_blocked_loop_count() -> None:
    loop = virtual_loop()
    source: Subject[int] = Subject()
    seen = Seen(source.pipe(ops.timeout_idle(5)))
    source.on_next(1)
    loop.call_later(4, loop.hold, 100)
    loop.call_later(104.04, source.on_next, 2)
    loop.call_later(107, source.on_completed)
    await seen.over.wait()
    assert seen.notes == [1, 2, "end"]


def test_items_inside_on_next_start_once() -> None:
    scheduler = TestScheduler()
    source: Subject[int] = Subject()
    seen: list[Any] = []

    def take(item: int) -> None:
        seen.append(item)
        if item < 3:
            source.on_next(item + 1)

    def fail(error: Exception) -> None:
        seen.append((scheduler.to_seconds(scheduler.now), type(error)))

    source.pipe(ops.timeout_idle(50)).subscribe(take, fail, scheduler=scheduler)
    scheduler.schedule_absolute(100, lambda *_: source.on_next(1))
    scheduler.start()
    assert seen == [1, 2, 3, (150, IdleTimeoutError)]
    assert not pending(scheduler)
