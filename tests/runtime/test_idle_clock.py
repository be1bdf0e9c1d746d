"""The idle clock: when it expires, on a loop and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from reactivex.testing import TestScheduler

from rxagents.runtime.bridge import Gate
from rxagents.runtime.idle_clock import IdleClock, LoopTimer
from rxagents.runtime.timed_scope import TimedScope
from rxagents.testing.virtual_time import virtual_loop


class Expiries:
    """A clock of the running loop, and the times at which it expired."""

    def __init__(self, first: float | None, idle: float | None) -> None:
        loop = virtual_loop()
        self.times: list[float] = []
        self.gate = Gate()
        make_timer: Any = partial(LoopTimer, loop)
        self.clock = IdleClock(
            loop.time, make_timer, self.gate, self._expire, first=first, idle=idle
        )
        self.clock.start()
        self.at: Callable[..., Any] = loop.call_at

    def _expire(self) -> None:
        self.times.append(virtual_loop().time())


def test_virtual_scheduler_expires_exactly_once() -> None:
    scheduler = TestScheduler()
    scope = TimedScope(scheduler)
    times: list[float] = []

    def expire() -> None:
        times.append(scope.now())

    clock = IdleClock(scope.now, scope.timer, scope.gate, expire, first=0.3, idle=0.3)
    clock.start()
    for time in (0.1, 0.2, 0.4):
        scheduler.schedule_absolute(time, lambda *_: clock.note())
    scheduler.start()
    assert times == pytest.approx([0.7], abs=1e-6)


@pytest.mark.parametrize(
    ("first", "idle", "events", "expired"),
    [
        (5, 2, [], [5]),
        (5, 2, [4], [6]),
        (5, 2, [1, 2, 3.5], [5.5]),
        (2, 5, [1], [6]),
        (None, 2, [90], [92]),
        (2, None, [1], []),
        (None, None, [1], []),
    ],
)
async def test_first_and_idle_limits_apply(
    first: float | None, idle: float | None, events: list[float], expired: list[float]
) -> None:
    seen = Expiries(first, idle)
    for time in events:
        seen.at(time, seen.clock.note)
    await asyncio.sleep(100)
    assert seen.times == pytest.approx(expired)
    assert seen.clock.has_event == bool(events)


async def test_stopped_clock_never_expires() -> None:
    seen = Expiries(5, 5)
    seen.at(4, seen.clock.note)
    seen.at(8, seen.clock.stop)
    await asyncio.sleep(100)
    assert seen.times == []


async def test_many_events_share_one_timer() -> None:
    seen = Expiries(5, 5)
    for _ in range(1000):
        seen.clock.note()
    assert len(virtual_loop().timers) == 1
    seen.clock.stop()


@pytest.mark.parametrize("is_noticed", [True, False], ids=["noticed", "unnoticed"])
async def test_closed_gate_stops_the_clock(is_noticed: bool) -> None:
    seen = Expiries(5, 5)
    seen.at(1, seen.clock.note)
    seen.at(2, seen.gate.close)
    if is_noticed:
        seen.at(2, seen.clock.pause_until_open)
    seen.at(40, seen.gate.open)
    await asyncio.sleep(100)
    assert seen.times == pytest.approx([45])


async def test_noticed_short_pause_restarts_the_wait() -> None:
    seen = Expiries(5, 5)
    seen.at(2, seen.gate.close)
    seen.at(2, seen.clock.pause_until_open)
    seen.at(3, seen.gate.open)
    await asyncio.sleep(100)
    assert seen.times == pytest.approx([8])


@pytest.mark.parametrize(
    ("held", "noted", "expired"),
    [
        (0.0, None, 5),
        (20.0, None, 24.05),  # the grace is given once
        (20.0, 24.03, 29.03),
    ],
)
async def test_blocked_loop_gets_a_grace(held: float, noted: float | None, expired: float) -> None:
    seen = Expiries(5, 5)
    seen.at(4, virtual_loop().hold, held)
    if noted is not None:
        seen.at(noted, seen.clock.note)
    await asyncio.sleep(100)
    assert seen.times == [pytest.approx(expired)]


async def test_each_blocked_wait_gets_a_grace() -> None:
    seen = Expiries(5, 5)
    for start in (4, 28):
        seen.at(start, virtual_loop().hold, 20)
        seen.at(start + 20.03, seen.clock.note)
    await asyncio.sleep(100)
    assert seen.times == [pytest.approx(53.03)]


@pytest.mark.parametrize(
    ("first", "idle", "started"),
    [(300, 120, [120]), (5, 120, [5]), (None, 120, [120]), (5, None, [5]), (None, None, [])],
)
def test_one_timer_serves_both_waits(
    first: float | None, idle: float | None, started: list[float]
) -> None:
    timer = Mock()
    clock = IdleClock(lambda: 0.0, lambda _: timer, Gate(), Mock(), first=first, idle=idle)
    clock.start()
    clock.note()
    assert [call.args[0] for call in timer.start.call_args_list] == started
    assert timer.stop.called is (idle is None)
