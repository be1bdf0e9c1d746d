"""Test `timeout_first`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Seen, settle
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import FirstEventTimeoutError, to_aiter
from rxagents import operators as ops
from rxagents.runtime.bridge import Bridge
from rxagents.testing.virtual_time import virtual_loop

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed
subscribe = ReactiveTest.subscribe


def test_silence_fails_exactly_in_time() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(300, "late"))
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_first(50)))
    (last,) = observer.messages
    assert last.time == 250
    assert type(last.value.exception) is FirstEventTimeoutError
    assert "within 50 s" in str(last.value.exception)
    assert source.subscriptions == [subscribe(200, 250)]


def test_no_limit_after_first_item() -> None:
    scheduler = TestScheduler()
    notes = [on_next(249, "a"), on_next(900, "b"), on_completed(950)]
    source = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_first(50)))
    assert observer.messages == notes


def test_subscriptions_have_separate_clocks() -> None:
    scheduler = TestScheduler()
    source: Subject[int] = Subject()
    piped = source.pipe(ops.timeout_first(50))
    observers = [scheduler.create_observer() for _ in range(2)]
    for time, observer in zip((200, 230), observers, strict=True):
        scheduler.schedule_absolute(
            time, lambda *_, o=observer: piped.subscribe(o, scheduler=scheduler)
        )
    scheduler.start()
    assert [observer.messages[0].time for observer in observers] == [250, 280]


async def test_loop_time_is_used() -> None:
    seen = Seen(rx.never().pipe(ops.timeout_first(50)))
    await seen.over.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(50)
    assert [type(note) for note in seen.notes] == [FirstEventTimeoutError]


async def test_full_subscriber_stops_the_clock() -> None:
    loop = asyncio.get_running_loop()
    bridge = Bridge(loop, lambda _: None)
    failures: list[Any] = []
    bridge.gate.close()
    rx.never().pipe(ops.timeout_first(10)).subscribe(
        on_error=lambda error: failures.append((loop.time(), type(error))),
        scheduler=bridge.scheduler,
    )
    await asyncio.sleep(29)
    assert failures == []
    bridge.gate.open()
    await asyncio.sleep(20)
    assert failures == [(pytest.approx(39), FirstEventTimeoutError)]


async def test_to_aiter_raises_the_timeout() -> None:
    async with to_aiter(rx.never().pipe(ops.timeout_first(5))) as items:
        with pytest.raises(FirstEventTimeoutError):
            await anext(items)


async def test_items_behind_blocked_loop_count() -> None:
    source: Subject[str] = Subject()
    seen = Seen(source.pipe(ops.timeout_first(5)))
    await settle()
    loop = virtual_loop()
    loop.call_later(4, loop.hold, 100)
    loop.call_later(104.02, source.on_next, "here")  # runs after the timers that are due
    await asyncio.sleep(200)
    assert seen.notes == ["here"]


def test_can_subscribe_again_in_on_error() -> None:
    scheduler = TestScheduler()
    times: list[float] = []
    piped = rx.never().pipe(ops.timeout_first(50))

    def again(_: Exception) -> None:
        times.append(scheduler.to_seconds(scheduler.now))
        if len(times) < 3:
            piped.subscribe(on_error=again, scheduler=scheduler)

    piped.subscribe(on_error=again, scheduler=scheduler)
    scheduler.start()
    assert times == [50, 100, 150]


async def test_raising_on_error_is_reported_once(loop_errors: list[Exception]) -> None:
    def broken(_: Exception) -> None:
        raise KeyError("mine")

    rx.never().pipe(ops.timeout_first(5)).subscribe(on_error=broken)
    await asyncio.sleep(100)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()
