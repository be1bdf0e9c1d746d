"""Test `assemble_tool_calls` in virtual time."""

from __future__ import annotations

from typing import Any

from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import StreamChunk, ToolCall, ToolCallDelta
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


def fragments(*deltas: ToolCallDelta, choice: int = 0) -> StreamChunk:
    return StreamChunk(choice=choice, tool_calls=deltas)


def run(*chunks: StreamChunk, choice: int = 0) -> list[Any]:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + 10 * i, chunk) for i, chunk in enumerate(chunks)), on_completed(300)
    )
    return scheduler.start(lambda: source.pipe(ops.assemble_tool_calls(choice))).messages


def test_call_is_emitted_when_sealed() -> None:
    messages = run(
        fragments(ToolCallDelta(0, "call_1", "add")),
        fragments(ToolCallDelta(0, arguments='{"a":')),
        fragments(ToolCallDelta(0, arguments="1}")),
        StreamChunk("text"),
        fragments(ToolCallDelta(0, sealed=True)),
    )
    assert messages == [on_next(250, ToolCall("call_1", "add", '{"a":1}')), on_completed(300)]


def test_next_call_seals_previous_one() -> None:
    messages = run(
        fragments(ToolCallDelta(0, "a", "add", "{}")),
        fragments(ToolCallDelta(0, sealed=True), ToolCallDelta(1, "b", "sub", "[]")),
        fragments(ToolCallDelta(1, sealed=True), ToolCallDelta(2, "c", "mul", sealed=True)),
    )
    assert messages == [
        on_next(220, ToolCall("a", "add", "{}")),
        on_next(230, ToolCall("b", "sub", "[]")),
        on_next(230, ToolCall("c", "mul", "")),
        on_completed(300),
    ]


def test_parallel_fragments_do_not_mix() -> None:
    messages = run(
        fragments(ToolCallDelta(0, "a", "add", "[1"), ToolCallDelta(1, "b", "sub", "[2")),
        fragments(ToolCallDelta(1, arguments=",3]", sealed=True)),
        fragments(ToolCallDelta(0, arguments="]", sealed=True)),
    )
    assert messages == [
        on_next(220, ToolCall("b", "sub", "[2,3]")),
        on_next(230, ToolCall("a", "add", "[1]")),
        on_completed(300),
    ]


def test_id_on_sealing_fragment_counts() -> None:
    messages = run(
        fragments(ToolCallDelta(0, name="add", arguments="{}")),
        fragments(ToolCallDelta(0, "late", sealed=True)),
    )
    assert messages == [on_next(220, ToolCall("late", "add", "{}")), on_completed(300)]


def test_cut_off_call_is_never_emitted() -> None:
    messages = run(
        fragments(ToolCallDelta(0, "a", "add", "{}", sealed=True)),
        fragments(ToolCallDelta(1, "b", "sub", '{"x": ')),
        StreamChunk(finish_reason="length"),
    )
    assert messages == [on_next(210, ToolCall("a", "add", "{}")), on_completed(300)]


def test_calls_of_other_choices_are_ignored() -> None:
    chunks = [
        fragments(ToolCallDelta(0, "a", "add", sealed=True)),
        fragments(ToolCallDelta(0, "b", "sub", sealed=True), choice=1),
    ]
    assert run(*chunks) == [on_next(210, ToolCall("a", "add")), on_completed(300)]
    assert run(*chunks, choice=1) == [on_next(220, ToolCall("b", "sub")), on_completed(300)]


def test_invalid_json_arguments_pass_unchanged() -> None:
    messages = run(fragments(ToolCallDelta(0, "a", "add", "{oops", sealed=True)))
    assert messages == [on_next(210, ToolCall("a", "add", "{oops")), on_completed(300)]
