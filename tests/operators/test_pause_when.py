"""Test `pause_when`."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, Seen, settle
from reactivex.subject import BehaviorSubject, Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import BackpressureError, ConfigurationError, OpenAI, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedServer
from rxagents.testing.marbles import cold, expect

on_next: Any = ReactiveTest.on_next
on_error, on_completed = ReactiveTest.on_error, ReactiveTest.on_completed


def play(source: list[Any], signals: list[Any]) -> list[Any]:
    scheduler = TestScheduler()
    paused = scheduler.create_hot_observable(*signals)
    piped = scheduler.create_hot_observable(*source).pipe(ops.pause_when(paused))
    observer: Any = scheduler.start(lambda: piped)
    messages: list[Any] = observer.messages
    return messages


NUMBERS = [on_next(210, 1), on_next(220, 2), on_next(230, 3)]


def test_items_wait_until_the_stream_goes_on() -> None:
    signals = [on_next(215, True), on_next(240, False)]
    seen = play([*NUMBERS, on_next(250, 4), on_completed(260)], signals)
    assert seen == [on_next(210, 1), on_next(240, 2), on_next(240, 3), on_next(250, 4),
                    on_completed(260)]  # fmt: skip


@pytest.mark.parametrize("end", [on_completed, lambda time: on_error(time, OSError("cut"))])
def test_end_follows_the_items_held(end: Any) -> None:
    seen = play([*NUMBERS, end(235)], [on_next(215, True), on_next(240, False)])
    assert [(note.time, note.value.kind) for note in seen] == [
        (210, "N"), (240, "N"), (240, "N"), (240, "CE"[end is not on_completed]),
    ]  # fmt: skip


def test_error_passes_at_once_without_items_held() -> None:
    failure = OSError("cut")
    seen = play([on_error(235, failure)], [on_next(215, True)])
    assert seen == [on_error(235, failure)]


def test_stream_goes_on_after_the_end_of_paused() -> None:
    seen = play([*NUMBERS, on_completed(260)], [on_next(205, True), on_completed(240)])
    assert [note.time for note in seen] == [240, 240, 240, 260]


def test_error_of_paused_fails_the_stream() -> None:
    failure = OSError("no signal")
    seen = play(NUMBERS, [on_next(205, True), on_error(225, failure)])
    assert seen == [on_error(225, failure)]


def test_marbles_of_a_pause() -> None:
    paused = cold("---t------f|", t=True, f=False)
    expect(cold("--a--b--c-----d--|").pipe(ops.pause_when(paused)), "--a-------(bc)d--|")


def test_marbles_of_two_pauses() -> None:
    paused = cold("-t---f--t--f|", t=True, f=False)
    expect(cold("a--b-c---d---e|").pipe(ops.pause_when(paused)), "a----(bc)--d-e|")


async def test_source_stops_at_the_gate() -> None:
    numbers, paused = Numbers(), BehaviorSubject(True)
    seen = Seen(from_aiter(numbers).pipe(ops.pause_when(paused)))
    await settle()
    assert (numbers.made, seen.notes) == (1, [])
    paused.on_next(False)
    await settle()
    paused.on_next(True)
    made = numbers.made
    await settle()
    assert 2 < made <= numbers.made <= made + 1
    assert seen.notes == list(range(len(seen.notes)))
    seen.subscription.dispose()
    await numbers.over.wait()


async def test_reader_and_pause_share_the_gate() -> None:
    numbers, paused = Numbers(), Subject[bool]()
    async with to_aiter(from_aiter(numbers).pipe(ops.pause_when(paused)), capacity=4) as items:
        await asyncio.sleep(1)
        assert numbers.made <= 6
        paused.on_next(True)
        assert [await anext(items) for _ in range(4)] == [0, 1, 2, 3]
        await asyncio.sleep(1)
        assert numbers.made <= 7
        paused.on_next(False)
        assert [await anext(items) for _ in range(40)] == list(range(4, 44))
    assert numbers.closed == 1


async def test_items_held_wait_for_a_slow_reader() -> None:
    subject, paused = Subject[int](), BehaviorSubject(True)
    async with to_aiter(subject.pipe(ops.pause_when(paused)), capacity=4) as items:
        for number in range(100):
            subject.on_next(number)
        subject.on_completed()
        paused.on_next(False)
        assert len(items.take_waiting()) == 4
        assert [item async for item in items] == list(range(4, 100))


async def test_pause_while_held_items_are_emitted() -> None:
    subject, paused = Subject[int](), BehaviorSubject(True)
    seen = Seen(subject.pipe(ops.pause_when(paused)), lambda _: paused.on_next(True))
    for number in range(3):
        subject.on_next(number)
    for count in range(1, 4):
        paused.on_next(False)
        assert seen.notes == list(range(count))
    seen.subscription.dispose()


async def test_paused_socket_is_not_read() -> None:
    text = "word " * 20_000
    paused = BehaviorSubject(True)
    async with ScriptedServer(Reply(text)) as server:
        async with OpenAI("m", base_url=server.url, max_retries=0) as llm:
            seen = Seen(llm.chat_stream("hi").pipe(ops.pause_when(paused)))
            await asyncio.sleep(100)
            assert not seen.notes
            paused.on_next(False)
            await seen.over.wait()
    assert seen.completed
    assert seen.items[-1].content == text


async def test_pause_from_inside_keeps_the_order() -> None:
    paused = Subject[bool]()

    def pause(item: int) -> None:
        if item % 3 == 0:
            paused.on_next(True)
            asyncio.get_running_loop().call_later(1, paused.on_next, False)

    seen = Seen(from_aiter(Numbers(20)).pipe(ops.pause_when(paused)), pause)
    await seen.over.wait()
    assert seen.items == list(range(20))


async def test_source_without_a_gate_meets_the_limit() -> None:
    subject, paused = Subject[int](), BehaviorSubject(True)
    seen = Seen(subject.pipe(ops.pause_when(paused)))
    for number in itertools.islice(itertools.count(), 16_385):
        subject.on_next(number)
    assert isinstance(seen.error, BackpressureError)


def test_paused_must_be_a_stream() -> None:
    with pytest.raises(ConfigurationError, match="paused must be an Observable"):
        ops.pause_when(True)  # type: ignore[arg-type]  # on purpose


async def test_stream_of_bools_is_left_at_the_end() -> None:
    paused = Subject[bool]()
    seen = Seen(rx.of(1).pipe(ops.pause_when(paused)))
    await seen.over.wait()
    assert not paused.observers
