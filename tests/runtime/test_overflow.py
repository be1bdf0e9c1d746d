"""The overflow policies, for readers that are slower than their stream."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any, Final

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from reactivex.subject import Subject

import rxagents
from rxagents import (
    Answer,
    Complete,
    ErrorEvent,
    ErrorInfo,
    Overflow,
    StreamChunk,
    Thought,
    Token,
    ToolCallDelta,
    ToolEnd,
    ToolStart,
    Usage,
    to_aiter,
)
from rxagents.core.chunks import TextBuffer, set_content
from rxagents.runtime.bridge import Gate
from rxagents.runtime.overflow import Buffer, buffer_for

HARD_LIMIT: Final = 16_384
USAGE = Usage(1, 2, 3)
CALL = ToolCallDelta(0, "call_1", "add")

KEPT: list[Any] = [
    ToolStart("call_1", "add"),
    ToolEnd("call_1", "add", "3"),
    Answer("3"),
    Complete("3"),
    ErrorEvent(ErrorInfo("ServerError", "broken")),
    StreamChunk(tool_calls=(CALL,)),
    StreamChunk("text", tool_calls=(CALL,)),
    StreamChunk("text", finish_reason="stop"),
    StreamChunk(refusal="No."),
    StreamChunk(usage=USAGE),
    StreamChunk(metadata={"provider_data": {"wire": {"signature": "s"}}}),
]
DROPPABLE: list[Any] = [
    Token("a"),
    Thought("hm"),
    StreamChunk("a"),
    StreamChunk(reasoning="hm"),
    StreamChunk("a", usage=USAGE),
    "a value",
    None,
]


class LoneBuffer:
    """A buffer without a stream and a reader."""

    def __init__(self, overflow: Overflow, capacity: int) -> None:
        self.gate = Gate()
        self.errors: list[Exception] = []
        self.buffer: Buffer[Any] = buffer_for(overflow, capacity, self.gate, self.fail)

    def fail(self, error: Exception) -> None:
        self.buffer.ended = True
        self.errors.append(error)

    def put(self, *items: Any) -> None:
        for item in items:
            self.buffer.put(item)

    def take_all(self) -> list[Any]:
        return [self.buffer.queue.popleft() for _ in range(len(self.buffer.queue))]


async def read_after(items: list[Any], overflow: Overflow, capacity: int) -> tuple[list[Any], int]:
    """Emit all `items` before the reader reads; return what it gets and how many were dropped."""
    async with to_aiter(rx.from_iterable(items), capacity=capacity, overflow=overflow) as reading:
        for _ in range(3):
            await asyncio.sleep(0)
        return [item async for item in reading], reading.dropped


# DROP_OLDEST


def kind(item: object) -> str:
    return type(item).__name__


@pytest.mark.parametrize("item", KEPT, ids=kind)
def test_items_with_meaning_are_never_dropped(item: Any) -> None:
    lone = LoneBuffer(Overflow.DROP_OLDEST, 2)
    lone.put(item, "a", item, item, item, "b")
    assert lone.take_all() == [item] * 4
    assert lone.buffer.dropped == 2


@pytest.mark.parametrize("item", DROPPABLE, ids=kind)
def test_text_and_other_values_are_dropped(item: Any) -> None:
    lone = LoneBuffer(Overflow.DROP_OLDEST, 2)
    lone.put(item, "second", "third")
    assert lone.take_all() == ["second", "third"]
    assert not lone.gate.closed


async def test_drop_oldest_counts_dropped_items() -> None:
    read, dropped = await read_after(list(range(1000)), Overflow.DROP_OLDEST, 10)
    assert (read, dropped) == (list(range(990, 1000)), 990)


def test_kept_and_droppable_items_stay_ordered() -> None:
    lone = LoneBuffer(Overflow.DROP_OLDEST, 5)
    lone.put("a", "b", KEPT[0], "c", KEPT[1], "d", KEPT[2])
    assert lone.take_all() == [KEPT[0], "c", KEPT[1], "d", KEPT[2]]


def test_dropping_skips_kept_items_quickly() -> None:
    count = 100_000
    lone = LoneBuffer(Overflow.DROP_OLDEST, count + 10)
    lone.put(*([KEPT[0]] * count), *range(count))
    assert lone.buffer.dropped == count - 10
    assert lone.take_all() == [KEPT[0]] * count + list(range(count - 10, count))


def test_kept_items_have_a_hard_limit() -> None:
    lone = LoneBuffer(Overflow.DROP_OLDEST, 4)
    lone.put(*([KEPT[0]] * HARD_LIMIT))
    assert not lone.errors
    lone.put(KEPT[1])
    assert [type(error) for error in lone.errors] == [rxagents.BackpressureError]
    assert lone.take_all() == [KEPT[0]] * HARD_LIMIT
    assert lone.buffer.dropped == 1


async def test_remaining_items_come_before_error() -> None:
    source = rx.concat(rx.from_iterable(range(9)), rx.throw(KeyError("mine")))
    async with to_aiter(source, capacity=2, overflow=Overflow.DROP_OLDEST) as items:
        for _ in range(20):
            await asyncio.sleep(0)
        assert [await anext(items), await anext(items)] == [7, 8]
        with pytest.raises(KeyError):
            await anext(items)


# ERROR


async def test_error_follows_the_waiting_items() -> None:
    subject: Subject[int] = Subject()
    async with to_aiter(subject, capacity=3, overflow=Overflow.ERROR) as items:
        for number in range(3):
            subject.on_next(number)
        assert len(subject.observers) == 1
        subject.on_next(3)
        assert not subject.observers  # disposed at once
        assert [await anext(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(rxagents.BackpressureError, match="More than 3 items"):
            await anext(items)
        assert items.dropped == 1


async def test_fast_reader_gets_no_error() -> None:
    subject: Subject[int] = Subject()
    async with to_aiter(subject, capacity=1, overflow=Overflow.ERROR) as items:
        for number in range(100):
            subject.on_next(number)
            assert await anext(items) == number


async def test_source_emitting_inside_subscribe_is_disposed() -> None:
    disposed = []

    def source(observer: Any, _: Any) -> Any:
        for number in range(9):
            observer.on_next(number)
        return lambda: disposed.append(True)

    async with to_aiter(rx.create(source), capacity=2, overflow=Overflow.ERROR) as items:
        assert disposed == [True]
        assert [await anext(items), await anext(items)] == [0, 1]
        with pytest.raises(rxagents.BackpressureError):
            await anext(items)
        assert items.dropped == 1


# REDUCE


def test_joined_tokens_have_newest_time() -> None:
    lone = LoneBuffer(Overflow.REDUCE, 2)
    tokens = [Token(text, "thought", timestamp=float(text)) for text in "12345"]
    lone.put(*tokens)
    assert lone.take_all() == [tokens[0], Token("2345", "thought", timestamp=5.0)]
    assert not lone.gate.closed


@pytest.mark.parametrize("field", ["delta", "reasoning"])
def test_joined_chunks_keep_their_content(field: str) -> None:
    buffer, metadata = TextBuffer(), {"model": "m"}
    buffer.append("before ")
    chunks = []
    for index, text in enumerate("abcd"):
        plain = StreamChunk(index=index, usage=USAGE, metadata=metadata, timestamp=index * 1.0)
        chunk = replace(plain, **{field: text})
        set_content(chunk, (buffer, buffer.append(chunk.delta)))
        chunks.append(chunk)
    lone = LoneBuffer(Overflow.REDUCE, 1)
    lone.put(*chunks)
    (joined,) = lone.take_all()
    assert joined == replace(chunks[-1], **{field: "abcd"})
    assert joined.content == ("before abcd" if field == "delta" else "before ")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (Token("a", "thought"), Token("b", "answer")),
        (Token("a"), Thought("b")),
        (Thought("a"), Thought("b")),
        (Token("a"), StreamChunk("b")),
        (StreamChunk("a"), StreamChunk("b", choice=1)),
        (StreamChunk("a"), StreamChunk(reasoning="b")),
        (StreamChunk("a"), StreamChunk("b", reasoning="c")),
        (StreamChunk("a"), StreamChunk("b", finish_reason="stop")),
        (StreamChunk("a", tool_calls=(CALL,)), StreamChunk("b")),
        (StreamChunk("a"), StreamChunk("b", refusal="c")),
        (StreamChunk("a", usage=USAGE), StreamChunk("b")),
        (StreamChunk("a", metadata={"provider_data": {}}), StreamChunk("b")),
        ("a", "b"),
    ],
    ids=kind,
)
def test_different_items_close_the_gate(older: Any, newer: Any) -> None:
    lone = LoneBuffer(Overflow.REDUCE, 1)
    lone.put(older, newer)
    assert lone.gate.closed
    assert lone.take_all() == [older, newer]


def test_text_passes_but_tools_close_gate() -> None:
    lone = LoneBuffer(Overflow.REDUCE, 2)
    lone.put(*map(Token, "abc"))
    assert not lone.gate.closed
    assert lone.buffer.queue.popleft().content == "a"
    lone.put(KEPT[0])
    assert lone.gate.closed


def test_reduce_fails_at_hard_limit() -> None:
    lone = LoneBuffer(Overflow.REDUCE, 4)
    lone.put(*range(HARD_LIMIT + 1))
    assert [type(error) for error in lone.errors] == [rxagents.BackpressureError]
    assert lone.take_all() == list(range(HARD_LIMIT))


def test_joining_is_linear() -> None:
    piece = StreamChunk("x" * 100)
    lone = LoneBuffer(Overflow.REDUCE, 1)
    for _ in range(200_000):
        lone.buffer.put(piece)
    (joined,) = lone.take_all()
    assert joined.delta == "x" * 100 * 200_000


# All of them

ITEMS = st.one_of(
    st.builds(Token, st.text("ab", max_size=2), st.sampled_from(["thought", "answer"])),
    st.builds(StreamChunk, st.text("ab", max_size=2), choice=st.integers(0, 1)),
    st.builds(StreamChunk, reasoning=st.text("xy", max_size=2), choice=st.integers(0, 1)),
    st.sampled_from(KEPT),
    st.integers(),
)
SCRIPTS = st.lists(st.one_of(ITEMS.map(lambda item: [item]), st.integers(1, 4)), max_size=60)


def is_kept(item: Any) -> bool:
    return any(item is kept for kept in KEPT)


def texts(items: list[Any]) -> list[Any]:
    """Return the items, with adjacent pieces of one text joined whatever their other fields."""

    def kind(item: Any) -> Any:
        if isinstance(item, Token):
            return "token", item.section
        if isinstance(item, StreamChunk) and not is_kept(item):
            return "chunk", item.choice, bool(item.delta), bool(item.reasoning)
        return "other"

    joined: list[Any] = []
    for key, group in groupby(items, kind):
        if key == "other":
            joined += group
        else:
            joined.append((key, "".join(getattr(i, "reasoning", "") or text_of(i) for i in group)))
    return joined


def text_of(item: Any) -> str:
    return str(item.content if isinstance(item, Token) else item.delta)


@pytest.mark.parametrize("overflow", Overflow)
@given(script=SCRIPTS, capacity=st.integers(1, 5))
def test_every_policy_keeps_its_laws(overflow: Overflow, script: list[Any], capacity: int) -> None:
    """Run a script: a list holds an item to emit, a number is how many items to read, if any."""

    async def check() -> None:
        subject: Subject[Any] = Subject()
        emitted: list[Any] = []
        read: list[Any] = []
        waiting = 0
        async with to_aiter(subject, capacity=capacity, overflow=overflow) as items:
            for step in script:
                if isinstance(step, list):
                    if subject.observers:
                        emitted += step
                        subject.on_next(step[0])
                else:
                    for _ in range(min(step, waiting)):
                        read.append(await anext(items))
                waiting = len(items._queue)
                if overflow is not Overflow.REDUCE:
                    assert len(read) + items.dropped + waiting == len(emitted)
            subject.on_completed()
            try:
                async for item in items:
                    read.append(item)
            except rxagents.BackpressureError:
                assert overflow is Overflow.ERROR
                assert items.dropped == 1
            match overflow:
                case Overflow.BLOCK:
                    assert read == emitted
                case Overflow.DROP_OLDEST:
                    left = iter(emitted)
                    assert all(any(item is other for other in left) for item in read)
                    assert list(filter(is_kept, read)) == list(filter(is_kept, emitted))
                case Overflow.ERROR:
                    assert read == emitted[: len(emitted) - items.dropped]
                case Overflow.REDUCE:
                    assert texts(read) == texts(emitted)
                    assert items.dropped == 0

    asyncio.run(check())
