"""Test `accumulate` in virtual time, and that responses stay unchanged at constant cost."""

from __future__ import annotations

from collections import deque
from typing import Any

import reactivex as rx
from cpu_time import cpu_seconds
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import Response, StreamChunk, ToolCall, ToolCallDelta, Usage
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


def accumulated(*chunks: StreamChunk, choice: int = 0) -> list[Response]:
    responses: list[Response] = []
    rx.from_iterable(chunks).pipe(ops.accumulate(choice)).subscribe(responses.append)
    return responses


def test_each_chunk_gives_response_so_far() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        on_next(210, StreamChunk("Hel")),
        on_next(220, StreamChunk("lo", finish_reason="stop")),
        on_next(230, StreamChunk(usage=Usage(3, 2))),
        on_completed(240),
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.accumulate()))
    *responses, end = observer.messages
    assert [(m.time, m.value.value.content) for m in responses] == [
        (210, "Hel"),
        (220, "Hello"),
        (230, "Hello"),
    ]
    assert end == on_completed(240)


def test_later_chunks_leave_response_unchanged() -> None:
    first = ToolCallDelta(0, "call_1", "add", '{"a":')
    rest = ToolCallDelta(0, arguments="1}", sealed=True)
    early, later, last = accumulated(
        StreamChunk("a", reasoning="x", tool_calls=(first,), metadata={"model": "m"}),
        StreamChunk("b", reasoning="y", refusal="r", tool_calls=(rest,), finish_reason="stop"),
        StreamChunk("c", usage=Usage(1, 2), metadata={"model": "m", "finish_reason": "stop"}),
    )
    assert (last.content, last.reasoning, last.refusal) == ("abc", "xy", "r")
    assert last.usage == Usage(1, 2)
    assert (later.content, later.finish_reason, later.usage) == ("ab", "stop", None)
    assert later.tool_calls == (ToolCall("call_1", "add", '{"a":1}'),)
    assert (early.content, early.reasoning, early.refusal) == ("a", "x", "")
    assert early.tool_calls == (ToolCall("call_1", "add", '{"a":'),)
    assert (early.finish_reason, early.usage, early.metadata) == ("", None, {"model": "m"})


def test_responses_readable_in_any_order() -> None:
    text = "0123456789"
    for step in (1, 3, 7, 9):
        responses = accumulated(*map(StreamChunk, text))
        order = [i * step % 10 for i in range(10)]
        assert [responses[i].content for i in order] == [text[: i + 1] for i in order]


def test_other_choices_add_only_usage() -> None:
    chunks = [
        StreamChunk("a"),
        StreamChunk("b", choice=1, finish_reason="length"),
        StreamChunk("c", choice=1, usage=Usage(1, 2)),
    ]
    *_, zero = accumulated(*chunks)
    *_, one = accumulated(*chunks, choice=1)
    assert (zero.content, zero.finish_reason, zero.usage) == ("a", "", Usage(1, 2))
    assert (one.content, one.finish_reason, one.usage) == ("bc", "length", Usage(1, 2))


def test_cost_per_chunk_stays_constant() -> None:
    def seconds_per_chunk(count: int) -> float:
        call = (ToolCallDelta(0, arguments="1"),)
        chunks = [StreamChunk("word ", reasoning="hm", tool_calls=call) for _ in range(count)]
        last: deque[Response] = deque(maxlen=1)
        responses = rx.from_iterable(chunks).pipe(ops.accumulate())
        return cpu_seconds(lambda: responses.subscribe(last.append)) / count

    assert seconds_per_chunk(40_000) < 3 * seconds_per_chunk(2_000)
