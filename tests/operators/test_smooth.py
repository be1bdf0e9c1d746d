"""Test `smooth`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
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

import rxagents
from rxagents import Answer, Reasoning, StreamChunk, Token, Usage
from rxagents import operators as ops
from rxagents.core.chunks import TextBuffers
from rxagents.testing.virtual_time import virtual_loop

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


def run(*messages: Any, interval: float = 10, lag: float = 1000, disposed: float = 1000.5) -> Any:
    """Return the messages that a subscriber gets."""
    return play(ops.smooth(interval, longest_lag=lag), *messages, disposed=disposed)


def test_burst_is_spread_over_time() -> None:
    seen = run(on_next(210, "one two  three "), on_next(300, "four"), on_completed(305))
    assert seen == [
        on_next(210, "one"),
        on_next(220, " two"),
        on_next(230, "  three "),
        on_next(300, "four"),
        on_completed(305),
    ]


def test_completes_with_the_last_word() -> None:
    seen = run(on_next(210, "one two"), on_completed(211))
    assert seen == [on_next(210, "one"), on_next(220, " two"), on_completed(220)]


@pytest.mark.parametrize(
    "words",
    [
        ["今", "天", "很", "好。", "我", "们", "去\uff01"],
        ["他", "说", "「好」。"],
        ["ส", "วั", "ส", "ดี", "ค", "รั", "บ"],
        ["น้ำ", "ใ", "จ"],
        ["か\u3099", "き"],
        ["ខ្ញុំ", "ទៅ"],
        ["用", " Python", " 写", "的", "API", "很", "好"],
        ["(東", "京)", " e\u0301te\u0301", " \U0001f1e9\U0001f1ea", " 안녕"],
        ["\u0e33"],
    ],
)
def test_text_without_blanks_goes_by_character(words: list[str]) -> None:
    seen = run(on_next(210, "".join(words)), on_completed(211))
    assert [message.value.value for message in seen[:-1]] == words
    assert [message.time for message in seen[:-1]] == [210 + 10 * n for n in range(len(words))]


@given(
    st.text("今。「」かキ゛\u3099\u0e33\u0e31ก\u17d2ក\u1039\u104aé\u0301a1 \n.(ﾞ\U0001f44d\u200d好")
)
def test_no_character_of_any_script_is_lost(text: str) -> None:
    seen = run(on_next(210, text), on_completed(211))
    assert "".join(message.value.value for message in seen[:-1]) == text


def test_large_lag_emits_several_words() -> None:
    seen = run(on_next(210, "a b c d e f"), on_completed(211), interval=10, lag=20)
    assert [(message.time, message.value.value) for message in seen[:-1]] == [
        (210, "a"),
        (210, " b"),
        (210, " c"),
        (220, " d"),
        (220, " e"),
        (230, " f"),
    ]


def test_other_items_keep_place_untimed() -> None:
    answer = Answer("one two", 1)
    seen = run(on_next(210, "one two"), on_next(211, answer), on_next(212, 7), on_completed(213))
    assert seen == [
        on_next(210, "one"),
        on_next(220, " two"),
        on_next(220, answer),
        on_next(220, 7),
        on_completed(220),
    ]


def test_empty_item_is_not_lost() -> None:
    items = ["", Token("", "x", 1), Reasoning("", 2)]
    seen = run(*(on_next(210, item) for item in items), on_completed(211))
    assert seen == [*(on_next(210, item) for item in items), on_completed(211)]


def test_error_follows_waiting_text_at_once() -> None:
    failure = OSError("cut")
    assert run(on_next(210, "a b c"), on_error(212, failure)) == [
        on_next(210, "a"),
        on_next(212, " b"),
        on_next(212, " c"),
        on_error(212, failure),
    ]


def test_empty_and_endless_sources() -> None:
    assert run(on_completed(210)) == [on_completed(210)]
    assert run() == []
    assert run(on_next(210, "a")) == [on_next(210, "a")]


@given(st.integers(200, 260))
def test_dispose_leaves_silence_and_no_timer(disposed: int) -> None:
    messages = [on_next(210, "a b c"), on_next(215, "d"), on_completed(216)]
    whole = run(*messages)
    assert len(whole) == 5
    assert run(*messages, disposed=disposed + 0.5) == [m for m in whole if m.time <= disposed]


def test_subscriptions_share_nothing() -> None:
    smooth = ops.smooth(10, longest_lag=99)
    first, second = play_twice(smooth, 200, 205, on_next(10, "a b"), on_completed(11))
    assert first == [on_next(210, "a"), on_next(220, " b"), on_completed(220)]
    assert second == [on_next(215, "a"), on_next(225, " b"), on_completed(225)]


def test_chunk_pieces_have_index_and_content() -> None:
    buffers = TextBuffers()
    chunks = [
        buffers.tie(StreamChunk("one two", 0)),
        buffers.tie(StreamChunk(" three", 1, finish_reason="stop")),
        buffers.tie(StreamChunk(index=2, usage=Usage(1, 2, 3))),
    ]
    *seen, _ = run(*(on_next(210, chunk) for chunk in chunks), on_completed(300))
    out = [message.value.value for message in seen]
    assert [(chunk.delta, chunk.index, chunk.content) for chunk in out] == [
        ("one", 0, "one"),
        (" two", 1, "one two"),
        (" three", 2, "one two three"),
        ("", 3, "one two three"),
    ]


def test_chunks_without_history_keep_text() -> None:
    chunks = [StreamChunk("a b"), StreamChunk("c")]
    *seen, _ = run(*(on_next(210, chunk) for chunk in chunks), on_completed(212))
    assert [message.value.value.content for message in seen] == ["a", "a b", "c"]


def test_restarted_stream_is_renumbered() -> None:
    chunks = [StreamChunk("a b", 0), StreamChunk.reset(OSError("cut")), StreamChunk("c d", 0)]
    *seen, _ = run(*(on_next(210, chunk) for chunk in chunks), on_completed(300))
    assert [message.value.value.index for message in seen] == [0, 1, 0, 0, 1]


def test_usage_is_not_counted_twice() -> None:
    first = StreamChunk("a b c", 0, usage=Usage(1, 1, 2))
    second = StreamChunk("d", 1, usage=Usage(1, 2, 3))
    total = rxagents.run(rx.of(first, second).pipe(ops.smooth(0.0001), ops.total_usage()))
    assert total == Usage(1, 2, 3)


async def test_reentrant_item_waits_its_turn() -> None:
    subject: Subject[str] = Subject()
    seen: list[tuple[float, str]] = []

    def echo(word: str) -> None:
        seen.append((round(virtual_loop().time()), word))
        if word == "a":
            subject.on_next("c")
            subject.on_completed()

    smooth = subject.pipe(ops.smooth(5, longest_lag=99))
    smooth.subscribe(echo, on_completed=lambda: seen.append((0, "end")))
    subject.on_next("a b")
    await asyncio.sleep(20)
    assert seen == [(0, "a"), (5, " b"), (10, "c"), (0, "end")]


class Words:
    """Emits one word repeatedly and counts."""

    def __init__(self) -> None:
        self.said = 0

    async def __call__(self) -> AsyncIterator[str]:
        while True:
            self.said += 1
            yield "word "
            await asyncio.sleep(0.001)


async def test_full_reader_stops_words_and_source() -> None:
    words = Words()
    smooth = rxagents.from_aiter(words).pipe(ops.smooth(0.01, longest_lag=0.1))
    async with rxagents.to_aiter(smooth, capacity=4) as reader:
        await asyncio.sleep(100)
        said = words.said
        assert said < 10_000
        assert len(reader._queue) == 4
        await asyncio.sleep(100)
        assert words.said == said
        for _ in range(20):
            assert await anext(reader) == "word "
        await asyncio.sleep(100)
        assert words.said > said


async def test_closed_gate_delays_the_end() -> None:
    subject: Subject[str] = Subject()
    async with rxagents.to_aiter(subject.pipe(ops.smooth(0.01)), capacity=1) as reader:
        for _ in range(100):
            subject.on_next("a")
        await asyncio.sleep(1)
        subject.on_completed()
        assert len(reader._gate._callbacks) == 1
        assert [word async for word in reader] == ["a"] * 100


async def test_plain_subscriber_disposes_from_other_thread() -> None:
    subject: Subject[str] = Subject()
    seen = Seen(subject.pipe(ops.smooth(5, longest_lag=99)))
    subject.on_next("a b c")
    await asyncio.sleep(6)
    assert seen.notes == ["a", " b"]
    in_thread(seen.subscription.dispose)
    seen.subscription.dispose()
    assert not subject.observers
    await asyncio.sleep(20)
    assert seen.notes == ["a", " b"]
    assert len(seen.threads) == 1


@pytest.mark.parametrize("word", ["a", " b"], ids=["from the source", "from the timer"])
async def test_raising_subscriber_is_reported_once(word: str, loop_errors: list[Exception]) -> None:
    failure = LookupError("the screen is gone")
    notes: list[Any] = []

    def fail(item: str) -> None:
        notes.append(item)
        if item == word:
            raise failure

    async def letters() -> AsyncIterator[str]:
        yield "a b c"
        await asyncio.sleep(100)

    rxagents.from_aiter(letters).pipe(ops.smooth(5, longest_lag=99)).subscribe(
        fail, notes.append, lambda: notes.append("end")
    )
    await asyncio.sleep(200)
    assert loop_errors == [failure]
    assert notes == ["a", " b"][: len(word)]
    loop_errors.clear()


def test_run_raises_exception_from_timed_callback() -> None:
    def fail(word: str) -> None:
        if word == " b":
            raise LookupError("no")

    stream = rx.concat(rx.of("a b"), rx.never())
    with pytest.raises(LookupError):
        rxagents.run(stream.pipe(ops.smooth(0.001)), fail)


@pytest.mark.parametrize("value", [0, -1, True, "1", None, math.nan, math.inf])
@pytest.mark.parametrize("name", ["interval", "longest_lag"])
def test_invalid_seconds_are_refused(name: str, value: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=name):
        ops.smooth(**{name: value})


def test_error_without_loop_names_run() -> None:
    errors: list[Exception] = []
    rx.of("a").pipe(ops.smooth()).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]


@given(
    mixtures(),
    st.lists(st.integers(0, 9), min_size=80, max_size=80),
    st.integers(1, 6),
    st.integers(0, 30),
)
def test_text_not_lost_repeated_or_moved(
    items: list[Any], gaps: list[int], interval: int, more: int
) -> None:
    time, messages = 201, []
    for item, gap in zip(items, gaps, strict=False):
        time += gap
        messages.append(on_next(time, item))
    out = run(
        *messages, on_completed(time), interval=interval, lag=interval + more, disposed=10_000
    )
    assert out.pop().value.kind == "C"
    words = [message.value.value for message in out]
    assert texts_in_place(words) == texts_in_place(items[: len(messages)])
    assert_contents_and_indexes(words)


async def test_many_words_do_not_nest() -> None:
    seen = Seen(rx.of("a " * 10_000).pipe(ops.smooth(0.01, longest_lag=0.01)))
    await seen.over.wait()
    assert seen.notes == ["a", *[" a"] * 9_998, " a ", "end"]


def test_lag_below_interval_is_refused() -> None:
    message = r"longest_lag must be at least interval \(2 s\), not 1.0 s"
    with pytest.raises(rxagents.ConfigurationError, match=message):
        ops.smooth(2)
