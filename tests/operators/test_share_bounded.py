"""Test demand, joining and leaving with `share_bounded`."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, Seen, settle
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

import rxagents
from rxagents import Overflow, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.runtime.bridge import Bridge, bridge_of


def share(numbers: Numbers, **arguments: Any) -> Observable[int]:
    return from_aiter(numbers).pipe(ops.share_bounded(**arguments))


def plain_subscribe(source: Observable[int]) -> Observable[int]:
    """Pass everything on except the scheduler."""
    return rx.create(lambda observer, _: source.subscribe(observer))


# Demand.


async def test_stopped_first_reader_starves_nobody() -> None:
    numbers = Numbers()
    shared = share(numbers)
    async with to_aiter(shared, overflow=Overflow.DROP_OLDEST) as stopped:
        async with to_aiter(shared) as reader:
            assert [await anext(reader) for _ in range(1000)] == list(range(1000))
        assert stopped.dropped >= 900
    assert numbers.started == numbers.closed == 1


async def test_blocked_reader_fills_own_queue() -> None:
    shared = share(Numbers())
    async with to_aiter(shared, capacity=1) as stopped, to_aiter(shared) as reader:
        for _ in range(16_500):
            await anext(reader)
        got = []
        with pytest.raises(rxagents.BackpressureError):
            async for number in stopped:
                got.append(number)
        assert got == list(range(16_384))
        assert await anext(reader) == 16_500


@pytest.mark.parametrize("above", [rx_ops.map(lambda number: number), plain_subscribe])
async def test_source_waits_while_all_are_full(above: Any) -> None:
    numbers = Numbers()
    shared = from_aiter(numbers).pipe(above, ops.share_bounded())
    async with to_aiter(shared, capacity=4) as first, to_aiter(shared, capacity=8) as second:
        await settle()
        assert numbers.made == 8
        for _ in range(6):
            await anext(first)
        await settle()
        assert numbers.made > 8
        assert [await anext(second) for _ in range(3)] == [0, 1, 2]


async def test_subscriber_without_gate_keeps_demand() -> None:
    numbers = Numbers(200)
    shared = share(numbers)
    async with to_aiter(shared, capacity=1, overflow=Overflow.BLOCK) as stopped:
        await settle()
        assert numbers.made < 5
        plain = Seen(shared)
        await plain.over.wait()
        assert numbers.made == 200
        assert [number async for number in stopped] == list(range(200))


async def test_leaver_leaves_others_bound() -> None:
    numbers = Numbers()
    shared = share(numbers)
    async with to_aiter(shared, capacity=4) as stays:
        async with to_aiter(shared, capacity=4):
            await settle()
        await settle()
        assert numbers.made == 4
        assert [await anext(stays) for _ in range(100)] == list(range(100))


async def test_often_closed_gate_watched_once() -> None:
    shared = share(Numbers())
    gates = []

    def note(_: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        bridge = bridge_of(scheduler)
        assert bridge is not None
        gates.append(bridge.gate)
        return shared.subscribe(_, scheduler=scheduler)

    async with (
        to_aiter(rx.create(note), capacity=1, overflow=Overflow.BLOCK),
        to_aiter(shared, capacity=1) as reader,
    ):
        for _ in range(500):
            await anext(reader)
        assert len(gates[0]._callbacks) <= 1


# Joining, leaving and the end.


async def test_late_subscriber_sees_later_items() -> None:
    subject: Subject[str] = Subject()
    shared = subject.pipe(ops.share_bounded())
    first = Seen(shared)
    subject.on_next("a")
    second = Seen(shared)
    subject.on_next("b")
    subject.on_completed()
    assert first.notes == ["a", "b", "end"]
    assert second.notes == ["b", "end"]


@pytest.mark.parametrize("failure", [None, OSError("cut")])
async def test_late_subscriber_gets_only_end(failure: Exception | None) -> None:
    subscribed = 0

    def source(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
        nonlocal subscribed
        subscribed += 1
        ending: Observable[int] = rx.empty() if failure is None else rx.throw(failure)
        return ending.subscribe(observer, scheduler=_)

    shared: Observable[int] = rx.create(source).pipe(ops.share_bounded())
    for _ in range(3):
        seen = Seen(shared)
        assert seen.notes == []
        await seen.over.wait()
        assert seen.notes == [failure or "end"]
    gone = Seen(shared)
    gone.subscription.dispose()
    await settle()
    assert gone.notes == []
    assert subscribed == 1


async def test_last_leaver_cancels_next_restarts() -> None:
    numbers = Numbers()
    shared = share(numbers)
    for run in (1, 2):
        async with to_aiter(shared) as items:
            assert await anext(items) == 0
            assert (numbers.started, numbers.closed) == (run, run - 1)
        assert numbers.closed == run  # at once: leaving waits for the shared tasks


async def test_abandoned_source_can_continue() -> None:
    numbers = Numbers(500)
    shared = share(numbers, when_abandoned="continue")
    async with to_aiter(shared, capacity=2) as items:
        await anext(items)
        await settle()
    await numbers.over.wait()
    late = Seen(shared)
    await late.over.wait()
    assert late.notes == ["end"]
    assert (numbers.made, numbers.started) == (500, 1)


async def test_closed_gate_does_not_stop_abandoned() -> None:
    numbers = Numbers(50)
    bridge = Bridge(asyncio.get_running_loop(), lambda _: None)
    bridge.gate.close()
    shared = share(numbers, when_abandoned="continue")
    subscription = shared.subscribe(scheduler=bridge.scheduler)
    await settle()
    assert numbers.made == 1
    subscription.dispose()
    await numbers.over.wait()
    assert numbers.made == 50


async def test_source_is_disposed_on_loop_thread() -> None:
    threads: list[int] = []
    over = asyncio.Event()

    def source(_: abc.ObserverBase[int], __: Any) -> abc.DisposableBase:
        def dispose() -> None:
            threads.append(threading.get_ident())
            over.set()

        return Disposable(dispose)

    subscription = rx.create(source).pipe(ops.share_bounded()).subscribe()
    thread = threading.Thread(target=subscription.dispose)
    thread.start()
    thread.join()
    assert not threads
    await over.wait()
    assert threads == [threading.get_ident()]


async def test_repeated_dispose_from_other_thread() -> None:
    numbers = Numbers()
    shared = share(numbers)
    seen = Seen(shared)
    await settle()
    for _ in range(2):
        thread = threading.Thread(target=seen.subscription.dispose)
        thread.start()
        thread.join()
    count = len(seen.notes)
    await numbers.over.wait()
    seen.subscription.dispose()
    assert len(seen.notes) == count > 0


def test_error_without_loop_names_run() -> None:
    errors: list[Exception] = []
    rx.of(1).pipe(ops.share_bounded()).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]


async def test_virtual_time_reaches_the_source() -> None:
    scheduler = TestScheduler()
    on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed

    def delayed() -> Observable[int]:
        return rx.timer(10, 10).pipe(rx_ops.take(2), ops.share_bounded())

    observer: Any = scheduler.start(delayed)
    assert observer.messages == [on_next(210, 0), on_next(220, 1), on_completed(220)]


@pytest.mark.parametrize("value", ["stop", None, True, []])
def test_invalid_when_abandoned_is_refused(value: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="when_abandoned"):
        ops.share_bounded(when_abandoned=value)
