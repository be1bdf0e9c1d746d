"""Test `coalesce`."""

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

import rxagents
from rxagents import Reasoning, StreamChunk, Token, ToolCallDelta, ToolStart
from rxagents import operators as ops
from rxagents.core.chunks import TextBuffers
from rxagents.testing.virtual_time import virtual_loop

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


def run(
    *messages: Any, delay: float = 10, size: int | None = None, disposed: float = 1000.5
) -> Any:
    """Return the messages that a subscriber gets."""
    return play(ops.coalesce(delay, size=size), *messages, disposed=disposed)


def test_pieces_joined_until_delay_has_passed() -> None:
    seen = run(
        on_next(210, "a"),
        on_next(215, "b"),
        on_next(219, "c"),
        on_next(230, "d"),
        on_completed(232),
    )
    assert seen == [on_next(220, "abc"), on_next(232, "d"), on_completed(232)]


def test_window_after_full_one_restarts_delay() -> None:
    seen = run(on_next(210, "ab"), on_next(215, "c"), on_next(224, "d"), on_completed(300), size=2)
    assert seen == [on_next(210, "ab"), on_next(224, "cd"), on_completed(300)]
    seen = run(on_next(210, "ab"), on_next(215, "c"), on_completed(300), size=2)
    assert seen == [on_next(210, "ab"), on_next(225, "c"), on_completed(300)]


def test_size_flushes_without_cutting_pieces() -> None:
    seen = run(on_next(210, "ab"), on_next(211, "cdefg"), on_completed(212), size=3)
    assert seen == [on_next(211, "abcdefg"), on_completed(212)]


def test_other_items_flush_the_text_first() -> None:
    start = ToolStart("call_1", "add")
    seen = run(on_next(210, "a"), on_next(211, start), on_next(212, "b"), on_completed(213))
    assert seen == [
        on_next(211, "a"),
        on_next(211, start),
        on_next(213, "b"),
        on_completed(213),
    ]


def test_different_kinds_are_not_joined() -> None:
    pieces = [
        Token("a", "x", 1),
        Token("b", "y", 2),
        Token("c", "y", 3),
        Token("s", "y", 3, ("sub",)),
        Reasoning("d", 4),
        "e",
    ]
    *joined, end = run(*(on_next(210 + n, p) for n, p in enumerate(pieces)), on_completed(220))
    assert [message.value.value for message in joined] == [
        Token("a", "x", 1),
        Token("bc", "y", 3),
        Token("s", "y", 3, ("sub",)),
        Reasoning("d", 4),
        "e",
    ]
    assert end == on_completed(220)


def test_joined_chunk_keeps_last_pieces_fields() -> None:
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
def test_chunks_with_more_than_text_unchanged(chunk: StreamChunk) -> None:
    first = StreamChunk("a")
    *seen, _ = run(on_next(210, first), on_next(211, chunk), on_completed(212))
    assert [message.value.value for message in seen] == [first, chunk]
    assert seen[1].value.value is chunk


def test_error_follows_waiting_text_at_once() -> None:
    failure = OSError("cut")
    assert run(on_next(210, "a"), on_next(211, "b"), on_error(212, failure)) == [
        on_next(212, "ab"),
        on_error(212, failure),
    ]


def test_empty_and_endless_sources() -> None:
    assert run(on_completed(210)) == [on_completed(210)]
    assert run() == []
    assert run(on_next(210, "a")) == [on_next(220, "a")]


@given(st.integers(200, 260))
def test_dispose_leaves_silence_and_no_timer(disposed: int) -> None:
    messages = [on_next(210, "a"), on_next(215, "b"), on_next(235, "c"), on_completed(250)]
    whole = [on_next(220, "ab"), on_next(245, "c"), on_completed(250)]
    assert run(*messages, disposed=disposed + 0.5) == [m for m in whole if m.time <= disposed]


def test_subscriptions_share_nothing() -> None:
    first, second = play_twice(
        ops.coalesce(10), 200, 212, on_next(10, "a"), on_next(15, "b"), on_completed(40)
    )
    assert first == [on_next(220, "ab"), on_completed(240)]
    assert second == [on_next(232, "ab"), on_completed(252)]


async def test_reentrant_source_keeps_order() -> None:
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


async def test_plain_subscriber_uses_loop_clock() -> None:
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
async def test_raising_subscriber_is_reported_once(
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


def test_run_raises_exception_from_timed_callback() -> None:
    def fail(_: str) -> None:
        raise LookupError("no")

    stream = rx.concat(rx.of("a"), rx.never())
    with pytest.raises(LookupError):
        rxagents.run(stream.pipe(ops.coalesce(0.001)), fail)


@pytest.mark.parametrize("delay", [0, -1, True, "1", None, math.nan, math.inf, [1]])
def test_invalid_delay_is_refused(delay: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="delay"):
        ops.coalesce(delay)


@pytest.mark.parametrize("size", [0, -1, True, "1", 1.5, math.nan])
def test_invalid_size_is_refused(size: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="size"):
        ops.coalesce(size=size)


def test_error_without_loop_names_run() -> None:
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
def test_text_not_lost_repeated_or_moved(
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


async def test_ten_thousand_pieces_use_one_timer() -> None:
    letters = rx.from_iterable(["a"] * 10_000)
    seen = Seen(rx.concat(letters, rx.never()).pipe(ops.coalesce(2)))
    assert len(virtual_loop().timers) == 1
    await asyncio.sleep(3)
    assert seen.notes == ["a" * 10_000]
    seen.subscription.dispose()


async def test_quickly_filled_windows_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
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
