"""Test `share_bounded` on the running loop and over HTTP."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Numbers, Seen, settle
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

import rxagents
from rxagents import OpenAI, Overflow, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.runtime.bridge import Bridge, bridge_of
from rxagents.testing import Ending, Reply, ScriptedServer


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
async def test_late_subscriber_gets_only_end(
    failure: Exception | None,
) -> None:
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


# Exceptions.


async def test_raising_subscriber_leaves_alone(
    loop_errors: list[Exception],
) -> None:
    numbers = Numbers(10)

    def broken(number: int) -> None:
        calls.append(number)
        if number == 3:
            raise KeyError("mine")

    calls: list[int] = []
    shared = share(numbers)
    before = Seen(shared)
    shared.subscribe(broken, lambda error: calls.append(-1))
    after = Seen(shared)
    await before.over.wait()
    assert before.notes == after.notes == [*range(10), "end"]
    assert calls == [0, 1, 2, 3]
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


async def test_to_aiter_raises_only_subscribers_exception() -> None:
    numbers = Numbers()

    def broken(observer: abc.ObserverBase[int], scheduler: Any = None) -> abc.DisposableBase:
        def on_next(_: int) -> None:
            raise KeyError("mine")

        return shared.subscribe(on_next, scheduler=scheduler)

    shared = share(numbers)
    async with to_aiter(Observable(broken)) as items:
        with pytest.raises(KeyError):
            await anext(items)
    assert numbers.closed == 1


async def test_exception_above_reaches_all_awaiting() -> None:
    numbers = Numbers()

    def broken(observer: abc.ObserverBase[int], scheduler: Any = None) -> abc.DisposableBase:
        def on_next(_: int) -> None:
            raise KeyError("mine")

        return from_aiter(numbers).subscribe(on_next, scheduler=scheduler)

    shared = Observable(broken).pipe(ops.share_bounded())
    plain = Seen(shared)
    async with to_aiter(shared) as first, to_aiter(shared) as second:
        for reader in (first, second):
            with pytest.raises(KeyError):
                await anext(reader)
    assert plain.notes == []
    assert numbers.closed == 1


# Re-entrancy.


async def test_joining_inside_on_next_keeps_order() -> None:
    subject: Subject[int] = Subject()
    shared = subject.pipe(ops.share_bounded())
    inner: list[Seen] = []

    def on_next(number: int) -> None:
        if number == 1:
            inner.append(Seen(shared))
            other.subscription.dispose()

    subscription = shared.subscribe(on_next)
    other, last = Seen(shared), Seen(shared)
    for number in (1, 2, 3):
        subject.on_next(number)
        if number == 2:
            subscription.dispose()
    assert (other.notes, last.notes, inner[0].notes) == ([], [1, 2, 3], [2, 3])


async def test_feedback_has_one_order() -> None:
    subject: Subject[int] = Subject()
    shared = subject.pipe(ops.share_bounded())

    def feed_back(number: int) -> None:
        if number < 3:
            subject.on_next(number + 1)
        else:
            subject.on_completed()

    shared.subscribe(feed_back)
    seen = Seen(shared)
    subject.on_next(0)
    assert seen.notes == [0, 1, 2, 3, "end"]


async def test_rejoining_inside_on_next_restarts() -> None:
    numbers = Numbers(5)
    shared = share(numbers)
    again: list[Seen] = []

    def on_next(_: int) -> None:
        subscription.dispose()
        again.append(Seen(shared))

    subscription = shared.subscribe(on_next)
    await settle()
    await again[0].over.wait()
    assert again[0].notes == [0, 1, 2, 3, 4, "end"]
    assert (len(again), numbers.started, numbers.closed) == (1, 2, 2)


async def test_only_subscriber_leaves_inside_subscribe(
    loop_errors: list[Exception],
) -> None:
    def source(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
        for number in range(3):
            observer.on_next(number)
        observer.on_completed()
        return Disposable()

    def broken(_: int) -> None:
        raise KeyError("mine")

    shared = Observable(source).pipe(ops.share_bounded())
    shared.subscribe(broken)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()
    assert Seen(shared).notes == [0, 1, 2, "end"]


async def test_subscribers_keep_their_context_variables() -> None:
    name: ContextVar[str] = ContextVar("name")
    found: list[tuple[str, object]] = []
    shared = share(Numbers(1))
    over = asyncio.Event()
    for value in ("first", "second"):
        name.set(value)
        shared.subscribe(
            lambda _: found.append((name.get(), bridge_of(None))), on_completed=over.set
        )
    name.set("neither")
    await over.wait()
    assert found == [("first", None), ("second", None)]


@given(
    st.lists(
        st.one_of(
            st.just("emit"),
            st.tuples(st.sampled_from(["join", "leave"]), st.integers(0, 4)),
        ),
        max_size=40,
    )
)
def test_subscriber_sees_items_until_leaving(
    script: list[Any],
) -> None:
    async def check() -> None:
        subject: Subject[int] = Subject()
        shared = subject.pipe(ops.share_bounded())
        here: dict[int, tuple[Seen, list[int]]] = {}
        everyone: list[tuple[Seen, list[int]]] = []
        for number, step in enumerate(script):
            match step:
                case "emit":
                    subject.on_next(number)
                    for _, expected in here.values():
                        expected.append(number)
                case ("join", who) if who not in here:
                    here[who] = Seen(shared), []
                    everyone.append(here[who])
                case ("leave", who) if who in here:
                    here.pop(who)[0].subscription.dispose()
            assert len(subject.observers) == bool(here)
        assert all(seen.notes == expected for seen, expected in everyone)

    asyncio.run(check())


# Over HTTP.


async def test_one_request_serves_both_readers() -> None:
    words = "word " * 300
    async with (
        ScriptedServer(words) as server,
        OpenAI("scripted", base_url=server.url, max_retries=0) as llm,
    ):
        shared = llm.chat_stream("hi").pipe(ops.share_bounded())
        async with to_aiter(shared, capacity=1) as stopped:
            await anext(stopped)
            async with to_aiter(shared) as reader:
                chunks = [chunk async for chunk in reader]
            assert chunks[-1].content == words
            assert len(chunks) >= 290
            assert [chunk async for chunk in stopped][-1].content == words
        assert len(server.requests) == 1


async def test_last_leaver_closes_the_connection() -> None:
    stalled = Reply("one two three", ending=Ending.STALL, cut_after=3)
    async with (
        ScriptedServer(stalled) as server,
        OpenAI("scripted", base_url=server.url, max_retries=0) as llm,
    ):
        shared = llm.chat_stream("hi").pipe(ops.share_bounded())
        async with to_aiter(shared) as last:
            async with to_aiter(shared) as first:
                await anext(first)
            await settle()
            assert server.disconnects == 0
            await anext(last)
        await server.disconnected()
        assert len(server.requests) == 1
