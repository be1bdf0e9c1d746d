"""Responses: the chunks of one choice, folded."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents import (
    Message,
    ReasoningPart,
    Response,
    StreamChunk,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from rxagents.core.response import ResponseBuilder
from rxagents.core.tool_calls import ToolCallAssembler


def fold(*chunks: StreamChunk, choice: int = 0) -> Response:
    builder = ResponseBuilder(choice)
    for chunk in chunks:
        builder.add(chunk)
    return builder.response()


def provider_data(**data: Any) -> dict[str, Any]:
    return {"provider_data": {"wire": data}}


def test_all_fields_are_folded() -> None:
    response = fold(
        StreamChunk(reasoning="h"),
        StreamChunk("Hel", reasoning="m", metadata={"model": "m", "id": "1"}),
        StreamChunk("lo", refusal="r", tool_calls=(ToolCallDelta(0, "call_1", "add", "{"),)),
        StreamChunk(tool_calls=(ToolCallDelta(0, arguments="}"),), finish_reason="tool_calls"),
        StreamChunk(usage=Usage(1, 1)),
        StreamChunk(usage=Usage(1, 2), metadata={"model": "m", "finish_reason": "x"}),
    )
    assert response.content == "Hello"
    assert response.reasoning == "hm"
    assert response.refusal == "r"
    assert response.tool_calls == (ToolCall("call_1", "add", "{}"),)
    assert response.finish_reason == "tool_calls"
    assert response.usage == Usage(1, 2)
    assert response.metadata == {"model": "m", "id": "1", "finish_reason": "x"}


def test_message_has_all_parts() -> None:
    response = fold(
        StreamChunk("Hello", reasoning="hm"),
        StreamChunk(tool_calls=(ToolCallDelta(0, "a", "add", "{}"), ToolCallDelta(1, "b", "sub"))),
    )
    assert response.message == Message.assistant(
        ReasoningPart("hm"), TextPart("Hello"), ToolCall("a", "add", "{}"), ToolCall("b", "sub")
    )


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (StreamChunk("Hello"), Message.assistant("Hello")),
        (StreamChunk(refusal="I will not."), Message.assistant("I will not.")),
        (StreamChunk("Well.", refusal="No."), Message.assistant("Well.")),
        (StreamChunk(finish_reason="stop"), Message.assistant()),
    ],
)
def test_message_has_no_empty_parts(chunk: StreamChunk, message: Message) -> None:
    assert fold(chunk).message == message


def test_provider_data_is_merged_into_message() -> None:
    shared = provider_data(field="x", parts=[9])
    response = fold(
        StreamChunk(metadata=provider_data(signature="old", parts=[1])),
        StreamChunk(metadata={"model": "m"}),
        StreamChunk(metadata={"provider_data": {"other": {"a": 1}}}),
        StreamChunk(metadata=provider_data(signature="new", parts=[2, 3])),
        StreamChunk(metadata=shared),
        StreamChunk("a", metadata=shared),
        StreamChunk(choice=1, metadata=provider_data(signature="of another choice")),
    )
    assert response.message.provider_data == {
        "wire": {"signature": "new", "parts": [1, 2, 3, 9], "field": "x"},
        "other": {"a": 1},
    }


def test_later_chunks_change_no_earlier_provider_data() -> None:
    metadata = provider_data(parts=[1])
    builder = ResponseBuilder()
    builder.add(StreamChunk(metadata=metadata))
    early = builder.response()
    builder.add(StreamChunk(metadata=provider_data(parts=[2])))
    assert early.message.provider_data == {"wire": {"parts": [1]}}
    assert builder.response().message.provider_data == {"wire": {"parts": [1, 2]}}
    assert metadata == provider_data(parts=[1])


def test_responses_are_compared_by_value() -> None:
    one = fold(StreamChunk("Hel"), StreamChunk("lo", finish_reason="stop"))
    same = fold(StreamChunk("Hello", finish_reason="stop"))
    assert one == same
    assert one != fold(StreamChunk("Hello"))
    assert one != fold(StreamChunk("Help", finish_reason="stop"))
    assert one != "Hello"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_repr_shows_fields_with_values() -> None:
    assert repr(fold(StreamChunk("Hi", finish_reason="stop"))) == (
        "Response(content='Hi', finish_reason='stop')"
    )


def test_empty_response_has_empty_fields() -> None:
    response = fold()
    assert (response.content, response.reasoning, response.refusal) == ("", "", "")
    assert (response.tool_calls, response.finish_reason) == ((), "")
    assert (response.usage, response.metadata) == (None, {})


def test_assembler_returns_sealed_calls() -> None:
    assembler = ToolCallAssembler()
    assert assembler.add(ToolCallDelta(1, "b", "sub", "[")) is None
    assert assembler.add(ToolCallDelta(0, "a", "add")) is None
    assert assembler.add(ToolCallDelta(1, arguments="]", sealed=True)) == ToolCall("b", "sub", "[]")
    assert assembler.add(ToolCallDelta(0, sealed=True)) == ToolCall("a", "add", "")
    assert assembler.calls() == (ToolCall("a", "add", ""), ToolCall("b", "sub", "[]"))


def test_calls_without_id_get_different_ids() -> None:
    response = fold(
        StreamChunk(tool_calls=(ToolCallDelta(0, name="a"), ToolCallDelta(1, name="b")))
    )
    first, second = response.tool_calls
    assert first.id
    assert second.id
    assert first.id != second.id


def test_lists_in_metadata_are_joined_once() -> None:
    def chunk(**metadata: Any) -> StreamChunk:
        return StreamChunk("a", metadata={"id": "r", **metadata})

    builder = ResponseBuilder()
    builder.add(chunk(citations=["u1"], logprobs={"content": [1], "refusal": None}))
    early = builder.response()
    builder.add(chunk(citations=["u1", "u2"], parts=[{"n": 1}], timings={"n": 1}))
    builder.add(chunk(logprobs={"content": [1]}, parts=[{"n": 1}], timings={"n": 2}))
    builder.add(chunk())
    assert builder.response().metadata == {
        "id": "r",
        "citations": ["u1", "u2"],
        "logprobs": {"content": [1, 1], "refusal": None},
        "parts": [{"n": 1}, {"n": 1}],
        "timings": {"n": 2},
    }
    assert early.metadata == {
        "id": "r",
        "citations": ["u1"],
        "logprobs": {"content": [1], "refusal": None},
    }


def test_joined_metadata_keeps_chunks_as_they_are() -> None:
    chunks = [
        StreamChunk(metadata={"citations": [n], "provider_data": {"w": {"b": [n]}}}) for n in "ab"
    ]
    builder = ResponseBuilder()
    for chunk in chunks:
        builder.add(chunk)
    response = builder.response()
    assert response.metadata["citations"] == ["a", "b"]
    assert response.message.provider_data == {"w": {"b": ["a", "b"]}}
    assert [chunk.metadata["citations"] for chunk in chunks] == [["a"], ["b"]]


@pytest.mark.parametrize(
    "pieces", [[["a"], {"x": ["b"]}], [{"x": "b"}, {"x": ["c"]}], ["a", ["b"]]]
)
def test_metadata_of_mixed_types_is_kept(pieces: list[Any]) -> None:
    builder = ResponseBuilder()
    for piece in pieces:
        builder.add(StreamChunk(metadata={"citations": piece}))
    assert builder.response().metadata["citations"]
