"""Test `timeout_total`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Seen
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import TotalTimeoutError
from rxagents import operators as ops
from rxagents.runtime.bridge import Bridge

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed
subscribe = ReactiveTest.subscribe


def test_long_stream_fails_exactly_in_time() -> None:
    scheduler = TestScheduler()
    notes = [on_next(210 + 10 * count, count) for count in range(50)]
    source = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_total(95)))
    *before, last = observer.messages
    assert before == notes[:9]
    assert last.time == 295
    assert type(last.value.exception) is TotalTimeoutError
    assert source.subscriptions == [subscribe(200, 295)]


def test_stream_that_ends_in_time_completes() -> None:
    scheduler = TestScheduler()
    notes = [on_next(210, 1), on_completed(294)]
    source = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(lambda: source.pipe(ops.timeout_total(95)))
    assert observer.messages == notes


async def test_loop_time_is_used() -> None:
    seen = Seen(rx.never().pipe(ops.timeout_total(50)))
    await seen.over.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(50)
    assert [type(note) for note in seen.notes] == [TotalTimeoutError]


async def test_full_subscriber_does_not_stop_clock() -> None:
    loop = asyncio.get_running_loop()
    bridge = Bridge(loop, lambda _: None)
    bridge.gate.close()
    failed: list[float] = []
    rx.never().pipe(ops.timeout_total(10)).subscribe(
        on_error=lambda _: failed.append(loop.time()), scheduler=bridge.scheduler
    )
    await asyncio.sleep(100)
    assert failed == [pytest.approx(10)]


def test_three_timeouts_compose() -> None:
    scheduler = TestScheduler()
    notes = [on_next(240, 1), on_next(280, 2), on_next(320, 3)]
    source = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(
        lambda: source.pipe(ops.timeout_first(50), ops.timeout_idle(50), ops.timeout_total(150))
    )
    assert observer.messages[-1].time == 350
    assert isinstance(observer.messages[-1].value.exception, TotalTimeoutError)
    assert source.subscriptions == [subscribe(200, 350)]
