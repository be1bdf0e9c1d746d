"""Test demand, re-entrancy and failures with `replay_bounded`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, Seen, in_thread, settle
from reactivex import Observable
from replaying import Live

import rxagents
from rxagents import Overflow
from rxagents import operators as ops
from rxagents.operators import Replayed


async def test_slow_reader_holds_up_nobody() -> None:
    numbers = Numbers(50)
    replayed = rxagents.from_aiter(numbers).pipe(ops.replay_bounded(100))
    async with rxagents.to_aiter(replayed, capacity=1) as slow:
        async with rxagents.to_aiter(replayed) as fast:
            assert [entry.id async for entry in fast] == list(range(1, 51))
        assert len(slow._queue) == 1
        assert [entry.item async for entry in slow] == list(range(50))


async def test_reader_beyond_capacity_fails_alone() -> None:
    numbers = Numbers(500)
    replayed = rxagents.from_aiter(numbers).pipe(ops.replay_bounded(100))
    async with rxagents.to_aiter(replayed, capacity=1) as slow:
        async with rxagents.to_aiter(replayed) as fast:
            assert [entry.id async for entry in fast] == list(range(1, 501))
        got = []
        with pytest.raises(rxagents.BackpressureError, match="replay_bounded"):
            async for entry in slow:
                got.append(entry.id)
        assert got == [1]


async def test_source_waits_while_all_are_full() -> None:
    numbers = Numbers()
    replayed = rxagents.from_aiter(numbers).pipe(ops.replay_bounded(10))
    async with (
        rxagents.to_aiter(replayed, capacity=2) as first,
        rxagents.to_aiter(replayed, capacity=4) as second,
    ):
        await asyncio.sleep(10)
        assert numbers.made == 4
        for expected in range(1, 100):
            assert (await anext(first)).id == expected
            assert (await anext(second)).id == expected


async def test_dropping_reader_affects_no_other() -> None:
    replayed = rxagents.from_aiter(Numbers(100)).pipe(ops.replay_bounded(10))
    async with rxagents.to_aiter(replayed, capacity=5, overflow=Overflow.DROP_OLDEST) as dropping:
        await asyncio.sleep(10)
        assert [entry.id async for entry in dropping] == [96, 97, 98, 99, 100]
        assert dropping.dropped == 95


async def test_reentrant_items_keep_order_for_all() -> None:
    live = Live(5)
    out: list[Any] = []

    def echo(entry: Replayed[Any]) -> None:
        out.append(entry.id)
        if entry.id < 3:
            live.emit("again")

    subscription = live.replayed.subscribe(echo)
    other = Seen(live.replayed)
    live.emit("a")
    assert out == [note.id for note in other.notes] == [1, 2, 3]
    late: list[Any] = []

    def disturb(entry: Replayed[Any]) -> None:
        late.append(entry.id)
        if entry.id == 1:
            live.emit("new")
            assert late == [1]

    disturber = live.replayed.subscribe(disturb)
    await settle()
    assert late == [1, 2, 3, 4]
    for one in (subscription, other.subscription, disturber):
        one.dispose()


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_dispose_before_replay_is_silent(elsewhere: bool) -> None:
    live = Live(5)
    stays = Seen(live.replayed)
    live.emit("a", "b")
    leaves = Seen(live.replayed)
    if elsewhere:
        in_thread(leaves.subscription.dispose)
    else:
        leaves.subscription.dispose()
        leaves.subscription.dispose()
    live.emit("c")
    await settle()
    assert leaves.notes == []
    assert len(stays.notes) == 3
    stays.subscription.dispose()


async def test_dispose_during_replay_stops_it() -> None:
    live = Live(5)
    stays = Seen(live.replayed)
    live.emit("a", "b", "c")
    out: list[Any] = []

    def take_one(entry: Replayed[Any]) -> None:
        out.append(entry.id)
        subscription.dispose()

    subscription = live.replayed.subscribe(take_one)
    await settle()
    assert out == [1]
    stays.subscription.dispose()


@pytest.mark.parametrize("late", [False, True])
async def test_raising_subscriber_leaves_alone(late: bool, loop_errors: list[Exception]) -> None:
    failure = LookupError("the screen is gone")
    live = Live(5)
    stays = Seen(live.replayed)
    if late:
        live.emit("a", "b")
    notes: list[Any] = []

    def fail(entry: Replayed[Any]) -> None:
        notes.append(entry.id)
        raise failure

    live.replayed.subscribe(fail, notes.append, lambda: notes.append("end"))
    await settle()
    live.emit("c")
    live.subject.on_completed()
    await settle()
    assert notes == [1]
    assert stays.notes[-1] == "end"
    assert loop_errors == [failure]
    loop_errors.clear()


async def test_exception_on_resume_reaches_reader() -> None:
    def fail_at_three(entry: Replayed[int]) -> Replayed[int]:
        if entry.id == 3:
            raise LookupError("no")
        return entry

    def unguarded(source: Observable[Replayed[int]]) -> Observable[Replayed[int]]:
        return rx.create(
            lambda observer, scheduler: source.subscribe(
                lambda entry: observer.on_next(fail_at_three(entry)),
                observer.on_error,
                observer.on_completed,
                scheduler=scheduler,
            )
        )

    numbers = Numbers(100)
    shared = rxagents.from_aiter(numbers).pipe(ops.replay_bounded(100))
    async with rxagents.to_aiter(shared) as other:
        await anext(other)
        async with rxagents.to_aiter(shared.pipe(unguarded), capacity=1) as reader:
            await settle()
            assert (await anext(reader)).id == 1
            assert (await anext(reader)).id == 2
            with pytest.raises(LookupError):
                await anext(reader)
        assert len([entry async for entry in other]) == 99
