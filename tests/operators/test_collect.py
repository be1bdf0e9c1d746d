"""Test `collect` in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import Response, StreamChunk, ToolCall, ToolCallDelta, Usage
from rxagents import operators as ops
from rxagents.core.response import ResponseBuilder

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed

CHUNKS = [
    StreamChunk(reasoning="hm", metadata={"model": "m"}),
    StreamChunk("Hel", metadata={"model": "m"}),
    StreamChunk("Hal", choice=1),
    StreamChunk("lo", finish_reason="tool_calls", metadata={"finish_reason": "function_call"}),
    StreamChunk("lo", choice=1, finish_reason="length"),
    StreamChunk(tool_calls=(ToolCallDelta(0, "call_1", "add", "{}", sealed=True),)),
    StreamChunk(usage=Usage(1, 2)),
]


def collected(*chunks: StreamChunk, choice: int = 0) -> Response:
    """Return the only response, after checking that it came at the end."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + i, chunk) for i, chunk in enumerate(chunks)), on_completed(300)
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.collect(choice)))
    response, end = observer.messages
    assert response.time == 300
    assert end == on_completed(300)
    value = response.value.value
    assert isinstance(value, Response)
    return value


def test_stream_becomes_one_response() -> None:
    response = collected(*CHUNKS)
    assert response.content == "Hello"
    assert response.reasoning == "hm"
    assert response.finish_reason == "tool_calls"
    assert response.tool_calls == (ToolCall("call_1", "add", "{}"),)
    assert response.usage == Usage(1, 2)


def test_another_choice_can_be_collected() -> None:
    response = collected(*CHUNKS, choice=1)
    assert (response.content, response.finish_reason) == ("Hallo", "length")
    assert response.reasoning == ""
    assert response.tool_calls == ()
    assert response.usage == Usage(1, 2)


@pytest.mark.parametrize("chunks", [[], [StreamChunk("b", choice=1)]])
def test_missing_choice_gives_empty_response(chunks: list[StreamChunk]) -> None:
    assert collected(*chunks) == ResponseBuilder().response()


def test_long_stream_becomes_one_text() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210, StreamChunk(f"{i} ")) for i in range(5_000)), on_completed(300)
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.collect()))
    response, _ = observer.messages
    expected = "".join(f"{i} " for i in range(5_000))
    assert response.value.value.content == expected
