"""Small pieces of text, joined into larger ones."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from marbles import play, play_twice
from mixtures import assert_contents_and_indexes, mixtures, texts_in_place
from observing import Seen, in_thread
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest
from virtual_loop import virtual_loop

import rxagents
from rxagents import Reasoning, StreamChunk, Token, ToolCallDelta, ToolStart
from rxagents import operators as ops
from rxagents.core.chunks import TextBuffers

pytestmark = pytest.mark.virtual_time

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


def run(
    *messages: Any, delay: float = 10, size: int | None = None, disposed: float = 1000.5
) -> Any:
    """Return what a subscriber sees."""
    return play(ops.coalesce(delay, size=size), *messages, disposed=disposed)


def test_pieces_are_joined_until_the_first_of_them_has_waited_long_enough() -> None:
    seen = run(
        on_next(210, "a"),
        on_next(215, "b"),
        on_next(219, "c"),
        on_next(230, "d"),
        on_completed(232),
    )
    assert seen == [on_next(220, "abc"), on_next(232, "d"), on_completed(232)]


def test_a_window_after_a_full_one_has_its_own_time() -> None:
    seen = run(on_next(210, "ab"), on_next(215, "c"), on_next(224, "d"), on_completed(300), size=2)
    assert seen == [on_next(210, "ab"), on_next(224, "cd"), on_completed(300)]
    seen = run(on_next(210, "ab"), on_next(215, "c"), on_completed(300), size=2)
    assert seen == [on_next(210, "ab"), on_next(225, "c"), on_completed(300)]


def test_size_is_when_text_goes_at_the_latest_and_not_where_it_is_cut() -> None:
    seen = run(on_next(210, "ab"), on_next(211, "cdefg"), on_completed(212), size=3)
    assert seen == [on_next(211, "abcdefg"), on_completed(212)]


def test_what_cannot_be_joined_passes_at_once_after_the_text_before_it() -> None:
    start = ToolStart("call_1", "add")
    seen = run(on_next(210, "a"), on_next(211, start), on_next(212, "b"), on_completed(213))
    assert seen == [
        on_next(211, "a"),
        on_next(211, start),
        on_next(213, "b"),
        on_completed(213),
    ]


def test_texts_of_different_kinds_are_not_joined() -> None:
    pieces = [Token("a", "x", 1), Token("b", "y", 2), Token("c", "y", 3), Reasoning("d", 4), "e"]
    *joined, end = run(*(on_next(210 + n, p) for n, p in enumerate(pieces)), on_completed(220))
    assert [message.value.value for message in joined] == [
        Token("a", "x", 1),
        Token("bc", "y", 3),
        Reasoning("d", 4),
        "e",
    ]
    assert end == on_completed(220)


def test_a_joined_chunk_has_the_content_and_the_other_fields_of_its_last_piece() -> None:
    buffers = TextBuffers()
    pieces = [buffers.tie(StreamChunk(text, n, timestamp=n)) for n, text in enumerate("abc")]
    message, _ = run(*(on_next(210 + n, p) for n, p in enumerate(pieces)), on_completed(220))
    assert message.value.value == StreamChunk("abc", 2, timestamp=2)
    assert message.value.value.content == "abc"


@pytest.mark.parametrize(
    "chunk",
    [
        StreamChunk("b", choice=1),
        StreamChunk("b", finish_reason="stop"),
        StreamChunk("b", refusal="no"),
        StreamChunk("b", tool_calls=(ToolCallDelta(0),)),
        StreamChunk("b", reasoning="hm"),
        StreamChunk(reasoning="hm"),
        StreamChunk("b", metadata={"id": "other"}),
        StreamChunk(),
    ],
)
def test_chunks_that_say_more_than_text_stay_as_they_are(chunk: StreamChunk) -> None:
    first = StreamChunk("a")
    *seen, _ = run(on_next(210, first), on_next(211, chunk), on_completed(212))
    assert [message.value.value for message in seen] == [first, chunk]
    assert seen[1].value.value is chunk


def test_an_error_comes_at_once_after_the_text_that_waits() -> None:
    failure = OSError("cut")
    assert run(on_next(210, "a"), on_next(211, "b"), on_error(212, failure)) == [
        on_next(212, "ab"),
        on_error(212, failure),
    ]


def test_of_an_empty_source_and_one_that_never_ends() -> None:
    assert run(on_completed(210)) == [on_completed(210)]
    assert run() == []
    assert run(on_next(210, "a")) == [on_next(220, "a")]


@given(st.integers(200, 260))
def test_after_dispose_nothing_comes_and_no_timer_is_left(disposed: int) -> None:
    messages = [on_next(210, "a"), on_next(215, "b"), on_next(235, "c"), on_completed(250)]
    whole = [on_next(220, "ab"), on_next(245, "c"), on_completed(250)]
    assert run(*messages, disposed=disposed + 0.5) == [m for m in whole if m.time <= disposed]


def test_subscriptions_share_nothing() -> None:
    first, second = play_twice(
        ops.coalesce(10), 200, 212, on_next(10, "a"), on_next(15, "b"), on_completed(40)
    )
    assert first == [on_next(220, "ab"), on_completed(240)]
    assert second == [on_next(232, "ab"), on_completed(252)]


async def test_a_source_that_emits_again_while_text_is_handed_on_mixes_nothing_up() -> None:
    subject: Subject[Any] = Subject()
    out: list[Any] = []

    def echo(item: Any) -> None:
        out.append(item)
        if item == Token("a", "", 1):
            subject.on_next(Token("c", "", 3))

    subscription = subject.pipe(ops.coalesce()).subscribe(echo)
    subject.on_next(Token("a", "", 1))
    subject.on_next(Reasoning("b", 2))
    subject.on_next("d")
    subject.on_completed()
    assert out == [Token("a", "", 1), Reasoning("b", 2), Token("c", "", 3), "d"]
    subscription.dispose()


async def test_a_plain_subscriber_gets_its_text_on_the_loops_thread_and_in_the_loops_time() -> None:
    subject: Subject[str] = Subject()
    seen = Seen(subject.pipe(ops.coalesce(3)))
    subject.on_next("a")
    subject.on_next("b")
    await asyncio.sleep(2.9)
    assert seen.notes == []
    await asyncio.sleep(0.2)
    assert seen.notes == ["ab"]
    subject.on_next("c")
    in_thread(seen.subscription.dispose)
    assert not subject.observers
    subject.on_next("d")
    await asyncio.sleep(10)
    assert seen.notes == ["ab"]
    assert len(seen.threads) == 1


@pytest.mark.parametrize("at_once", [True, False], ids=["from the source", "from the timer"])
async def test_a_subscriber_that_raises_ends_the_stream_and_is_reported_once(
    at_once: bool, loop_errors: list[Exception]
) -> None:
    failure = LookupError("the screen is gone")
    notes: list[Any] = []

    def fail(item: Any) -> None:
        notes.append(item)
        raise failure

    async def letters() -> Any:
        yield "a"
        if at_once:
            yield 7
        await asyncio.sleep(100)
        yield "b"

    rxagents.from_aiter(letters).pipe(ops.coalesce(1)).subscribe(
        fail, notes.append, lambda: notes.append("end")
    )
    await asyncio.sleep(200)
    assert notes == ["a"]
    assert loop_errors == [failure]
    loop_errors.clear()


def test_run_raises_what_its_callback_raised_when_the_time_came() -> None:
    def fail(_: str) -> None:
        raise LookupError("no")

    stream = rx.concat(rx.of("a"), rx.never())
    with pytest.raises(LookupError):
        rxagents.run(stream.pipe(ops.coalesce(0.001)), fail)


@pytest.mark.parametrize("delay", [0, -1, True, "1", None, math.nan, math.inf, [1]])
def test_a_delay_that_is_no_time_is_refused_at_once(delay: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="delay"):
        ops.coalesce(delay)


@pytest.mark.parametrize("size", [0, -1, True, "1", 1.5, math.nan])
def test_a_size_that_is_no_count_is_refused_at_once(size: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="size"):
        ops.coalesce(size=size)


def test_without_a_loop_the_error_names_run() -> None:
    errors: list[Exception] = []
    rx.of("a").pipe(ops.coalesce()).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]


@given(
    mixtures(),
    st.lists(st.integers(0, 4), min_size=80, max_size=80),
    st.integers(1, 6),
    st.none() | st.integers(1, 9),
)
def test_no_text_is_lost_repeated_or_moved(
    items: list[Any], gaps: list[int], delay: int, size: int | None
) -> None:
    time, messages = 201, []
    for item, gap in zip(items, gaps, strict=False):
        time += gap
        messages.append(on_next(time, item))
    out = run(*messages, on_completed(time), delay=delay, size=size)
    assert out.pop() == on_completed(time)
    joined = [message.value.value for message in out]
    assert texts_in_place(joined) == texts_in_place(items[: len(messages)])
    assert_contents_and_indexes(joined)


async def test_ten_thousand_pieces_at_once_need_one_timer() -> None:
    letters = rx.from_iterable(["a"] * 10_000)
    seen = Seen(rx.concat(letters, rx.never()).pipe(ops.coalesce(2)))
    assert len(virtual_loop().timers) == 1
    await asyncio.sleep(3)
    assert seen.notes == ["a" * 10_000]
    seen.subscription.dispose()


async def test_windows_that_are_soon_full_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[float] = []
    loop = virtual_loop()
    call_later = loop.call_later

    def count(seconds: float, *call: Any) -> Any:
        started.append(seconds)
        return call_later(seconds, *call)

    monkeypatch.setattr(loop, "call_later", count)
    letters = rx.from_iterable(["a"] * 1000)
    seen = Seen(rx.concat(letters, rx.never()).pipe(ops.coalesce(2, size=2)))
    assert len(seen.notes) == 500
    assert len(started) == 1
    seen.subscription.dispose()
