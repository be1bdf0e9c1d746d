"""Tool calls, assembled from fragments."""

from __future__ import annotations

from rxagents import StreamChunk, ToolCall, ToolCallDelta
from rxagents.core.response import ResponseBuilder
from rxagents.core.tool_calls import ToolCallAssembler


def assembled(*deltas: ToolCallDelta) -> list[ToolCall]:
    assembler = ToolCallAssembler()
    return [call for delta in deltas if (call := assembler.add(delta)) is not None]


def test_repeated_seal_returns_call_once() -> None:
    sealed = ToolCallDelta(0, "c", "add", "{}", sealed=True)
    assert assembled(sealed, sealed) == [ToolCall("c", "add", "{}")]


def test_fragments_after_seal_are_ignored() -> None:
    deltas = (
        ToolCallDelta(0, "c", "add", '{"a":1}', sealed=True),
        ToolCallDelta(0, "d", "sub", '{"a":2}'),
    )
    builder = ResponseBuilder()
    builder.add(StreamChunk(tool_calls=deltas))
    assert list(builder.response().tool_calls) == assembled(*deltas)
    assert assembled(*deltas) == [ToolCall("c", "add", '{"a":1}')]


def test_calls_with_same_id_get_different_ids() -> None:
    deltas = [ToolCallDelta(n, "c", "add", "{}", sealed=True) for n in range(3)]
    assert [call.id for call in assembled(*deltas)] == ["c", "c_1", "c_2"]


def test_later_fragments_may_repeat_id() -> None:
    deltas = (ToolCallDelta(0, "c", "add"), ToolCallDelta(0, "c", "", "{}", sealed=True))
    assert assembled(*deltas) == [ToolCall("c", "add", "{}")]


def test_call_without_name_is_named_unknown() -> None:
    assert assembled(ToolCallDelta(0, "c", "", "{}", sealed=True))[0].name == "unknown"
