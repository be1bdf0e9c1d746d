"""Test `first_of`, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Numbers, Seen
from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    FunctionAgent,
    StreamChunk,
    Token,
    ToolCallDelta,
    TurnStart,
    first_of,
    from_aiter,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM
from rxagents.testing.marbles import cold, expect

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed

START = StreamChunk(metadata={"model": "m"})
DOWN, WORSE = OSError("down"), OSError("worse")


def chunks(marbles: str, **deltas: str) -> Observable[Any]:
    return cold(marbles, {name: StreamChunk(delta) for name, delta in deltas.items()})


def test_first_content_wins_over_first_item() -> None:
    quick = cold("-m-b---c|", m=START, b=StreamChunk("b"), c=StreamChunk("c"))
    stream = first_of(cold("m----a|", m=START, a=StreamChunk("a")), quick)
    expect(stream, "---(mb)c|", m=START, b=StreamChunk("b"), c=StreamChunk("c"))


def test_start_of_a_turn_does_not_win() -> None:
    def run_of(text: str, delay: float) -> Observable[Any]:
        return FunctionAgent(ScriptedLLM(Reply(text, delay=delay))).run_stream("hi")

    events = first_of(run_of("slow", 3), run_of("quick", 2)), run_of("slow", 3)
    hedged = events[1].pipe(ops.hedge(run_of("quick", 1), after=1))
    for stream in (events[0], hedged):
        expect(stream.pipe(ops.of_type(TurnStart, Complete)), "--(sc|)", s=TurnStart, c="quick")


def test_first_sentence_wins() -> None:
    streams = chunks("ab--a|", a="One", b=" two"), chunks("--c-d---|", c="Hi! ", d="There.")
    stream = first_of(*streams, by="sentence")
    expect(stream, "----(cd)|", c=StreamChunk("Hi! "), d=StreamChunk("There."))


@pytest.mark.parametrize(
    "last",
    [
        StreamChunk(finish_reason="stop"),
        StreamChunk(tool_calls=(ToolCallDelta(0, "1", "add", "{}"),)),
        Answer("Hi"),
        "Hi. There",
        Token("Hi. There"),
    ],
    ids=["finish reason", "tool call", "answer", "text", "token"],
)
def test_what_ends_a_sentence(last: Any) -> None:
    other = cold("------b|", b="Late. Text")
    expect(first_of(cold("--a---|", a=last), other, by="sentence"), "--a---|", a=last)


def test_completion_ends_the_last_sentence() -> None:
    other = cold("----ab|", a="Other. ", b="Text")
    expect(first_of(cold("a-|", a="Hi"), other, by="sentence"), "--(a|)", a="Hi")


async def test_judge_sees_the_text_so_far() -> None:
    llms = ScriptedLLM(Reply("a b", interval=1)), ScriptedLLM(Reply("c d e f", interval=1))
    streams = [llm.chat_stream("hi") for llm in llms]
    seen = Seen(first_of(*streams, by=lambda chunk: chunk.content.startswith("c d e")))
    await seen.over.wait()
    assert "".join(chunk.delta for chunk in seen.items) == "c d e f"


def test_unjudged_stream_is_taken_when_nothing_else_is_left() -> None:
    streams = [cold("-a-#"), cold("-b---|"), cold("-c-|")]
    expect(first_of(*streams, by=lambda item: item == "z"), "-----(c|)")


def test_empty_stream_waits_for_others() -> None:
    expect(first_of(cold("-|"), cold("---b|")), "---b|")
    expect(first_of(cold("-|"), cold("---#")), "---|")


def test_failed_streams_leave_the_race() -> None:
    expect(first_of(cold("-#"), cold("---#"), cold("-----c|")), "-----c|")


def test_first_argument_names_the_error() -> None:
    first, other = cold("----#", errors=DOWN), cold("--#", errors=WORSE)
    expect(first_of(first, other), "----#", errors=DOWN)


def test_winners_error_passes() -> None:
    expect(first_of(cold("-a-#", errors=DOWN), cold("---b|")), "-a-#", errors=DOWN)


def test_losers_are_disposed_at_once() -> None:
    scheduler = TestScheduler()
    streams = [
        scheduler.create_cold_observable(on_next(time, str(time)), on_completed(100))
        for time in (30, 10, 20)
    ]
    observer: Any = scheduler.start(lambda: first_of(*streams))
    assert observer.messages == [on_next(210, "10"), on_completed(300)]
    assert [stream.subscriptions[0].unsubscribe for stream in streams] == [210, 300, 210]


def test_streams_after_winner_inside_subscribe_never_start() -> None:
    started: list[bool] = []
    other: Observable[str] = rx.defer(lambda _: started.append(True) or rx.of("b"))  # type: ignore[func-returns-value]  # `append` returns None

    def emit(observer: abc.ObserverBase[str], _: Any = None) -> abc.DisposableBase:
        observer.on_next("a")
        observer.on_completed()
        return Disposable()

    async def check() -> None:
        seen = Seen(first_of(rx.create(emit), other))
        await seen.over.wait()
        assert seen.notes == ["a", "end"]

    asyncio.run(check())
    assert started == []


async def test_failures_inside_subscribe_start_all() -> None:
    seen = Seen(first_of(rx.throw(DOWN), rx.throw(WORSE), rx.of("c")))
    await seen.over.wait()
    assert seen.notes == ["c", "end"]
    seen = Seen(first_of(rx.throw(DOWN), rx.throw(WORSE)))
    await seen.over.wait()
    assert seen.notes == [DOWN]


@pytest.mark.parametrize("raises", [True, False])
async def test_failing_judge_ends_all(raises: bool) -> None:
    numbers = Numbers()

    def judge(_: object) -> bool:
        if raises:
            raise LookupError("no opinion")
        return 1  # type: ignore[return-value]  # on purpose

    seen = Seen(first_of(from_aiter(numbers), from_aiter(numbers), by=judge))
    await seen.over.wait()
    assert type(seen.error) is (LookupError if raises else ConfigurationError)
    await asyncio.sleep(1)
    assert numbers.closed == numbers.started


async def test_slow_reader_slows_winner() -> None:
    numbers = Numbers()
    async with to_aiter(first_of(from_aiter(numbers), rx.never()), capacity=4) as items:
        assert await anext(items) == 0
        await asyncio.sleep(1)
        assert numbers.made <= 6


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one stream"):
        first_of()
    with pytest.raises(ConfigurationError, match="takes Observables, not list"):
        first_of([rx.of(1)])  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match='by must be "content"'):
        first_of(rx.of(1), by="speed")  # type: ignore[arg-type]  # on purpose


scripts = st.lists(st.tuples(st.integers(1, 60), st.sampled_from("stec")), max_size=6)


@given(
    scripts=st.lists(scripts, min_size=1, max_size=4), by=st.sampled_from(["content", "sentence"])
)
def test_output_is_one_whole_stream(scripts: list[list[tuple[int, str]]], by: Any) -> None:
    """`s` is a chunk without content, `t` text, `e` an error, `c` the end."""
    scheduler = TestScheduler()
    streams = [
        scheduler.create_cold_observable(*_script(n, script)) for n, script in enumerate(scripts)
    ]
    observer: Any = scheduler.start(lambda: first_of(*streams, by=by))
    items = [note.value.value for note in observer.messages if note.value.kind == "N"]
    ends = [note.value.kind for note in observer.messages if note.value.kind != "N"]
    winners = {item.metadata["of"] for item in items}
    assert len(winners) <= 1
    assert len(ends) <= 1
    if winners:
        kinds = "".join(kind for _, kind in scripts[winners.pop()])
        kinds = kinds[: min((i for i, kind in enumerate(kinds) if kind in "ec"), default=99)]
        assert [item.index for item in items] == list(range(len(kinds)))
    for stream in streams:
        (subscription,) = stream.subscriptions
        assert ends == [] or subscription.unsubscribe <= observer.messages[-1].time


def _script(name: int, script: list[tuple[int, str]]) -> list[Any]:
    time, notes = 0, list[Any]()
    for index, (delay, kind) in enumerate(script):
        time += delay
        chunk = StreamChunk("Hi. There " if kind == "t" else "", index, metadata={"of": name})
        ends = {"e": on_error(time, OSError(str(name))), "c": on_completed(time)}
        notes.append(ends.get(kind, on_next(time, chunk)))
    return notes
