"""Fragments of tool calls, put together."""

from __future__ import annotations

from rxagents import StreamChunk, ToolCall, ToolCallDelta
from rxagents.core.response import ResponseBuilder
from rxagents.core.tool_calls import ToolCallAssembler


def assembled(*deltas: ToolCallDelta) -> list[ToolCall]:
    assembler = ToolCallAssembler()
    return [call for delta in deltas if (call := assembler.add(delta)) is not None]


def test_a_call_is_given_once_however_often_it_is_sealed() -> None:
    sealed = ToolCallDelta(0, "c", "add", "{}", sealed=True)
    assert assembled(sealed, sealed) == [ToolCall("c", "add", "{}")]


def test_what_comes_after_the_seal_is_neither_run_nor_sent_back() -> None:
    deltas = (
        ToolCallDelta(0, "c", "add", '{"a":1}', sealed=True),
        ToolCallDelta(0, "d", "sub", '{"a":2}'),
    )
    builder = ResponseBuilder()
    builder.add(StreamChunk(tool_calls=deltas))
    assert list(builder.response().tool_calls) == assembled(*deltas)
    assert assembled(*deltas) == [ToolCall("c", "add", '{"a":1}')]


def test_calls_with_one_id_are_told_apart() -> None:
    deltas = [ToolCallDelta(n, "c", "add", "{}", sealed=True) for n in range(3)]
    assert [call.id for call in assembled(*deltas)] == ["c", "c_1", "c_2"]


def test_an_id_that_is_repeated_in_later_fragments_is_the_same_calls() -> None:
    deltas = (ToolCallDelta(0, "c", "add"), ToolCallDelta(0, "c", "", "{}", sealed=True))
    assert assembled(*deltas) == [ToolCall("c", "add", "{}")]


def test_a_call_without_a_name_gets_one_that_can_be_sent_back() -> None:
    assert assembled(ToolCallDelta(0, "c", "", "{}", sealed=True))[0].name == "unknown"
