"""`run_tools`: which calls run, when, and in which order."""

from __future__ import annotations

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.testing import ReactiveTest
from timed_tools import TimedTools, call, calling
from tool_marbles import run_marbles, timeline

from rxagents import (
    StreamChunk,
    ToolCall,
    ToolCallDelta,
    ToolEnd,
    ToolStart,
    tool,
)

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


# Which calls run, and when.


def test_sealed_call_runs_at_once() -> None:
    notes = [
        on_next(210, calling(0, "a")),
        on_next(220, StreamChunk("text")),
        on_next(250, StreamChunk("more")),
        on_completed(260),
    ]
    assert timeline(notes, [TimedTools().taking("a", 30)]) == [
        (210, "calls"),
        (210, "S a"),
        (220, "text"),
        (240, "E a"),
        (250, "more"),
        (260, "|"),
    ]


def test_completion_waits_for_the_tools() -> None:
    notes = [on_next(210, calling(0, "a")), on_completed(220)]
    expected = [(210, "calls"), (210, "S a"), (310, "E a"), (310, "|")]
    assert timeline(notes, [TimedTools().taking("a", 100)]) == expected


def test_unsealed_call_never_runs() -> None:
    tools = TimedTools()
    notes = [
        on_next(210, calling(0, "a", '{"x"', sealed=False)),
        on_next(220, calling(0, "", ": 1}", sealed=False)),
        on_completed(230),
    ]
    assert timeline(notes, [tools.taking("a", 1)]) == [(210, "calls"), (220, "calls"), (230, "|")]
    assert tools.started == []


def test_call_fragments_are_assembled() -> None:
    @tool
    def add(a: int, b: int) -> Observable[int]:
        return rx.just(a + b)

    fragments = ('{"a": 1', ', "b"', ": 2}")
    chunks = [
        StreamChunk(tool_calls=(ToolCallDelta(0, "id" * (n == 0), "add" * (n == 0), text),))
        for n, text in enumerate(fragments)
    ]
    seal = StreamChunk(tool_calls=(ToolCallDelta(0, sealed=True),))
    notes = [on_next(210 + n, chunk) for n, chunk in enumerate([*chunks, seal])]
    _, values, _ = run_marbles([*notes, on_completed(220)], [add])
    start, end = [value for value in values if not isinstance(value, StreamChunk)]
    assert (start.call_id, start.name, start.arguments) == ("id", "add", {"a": 1, "b": 2})
    assert (end.call_id, end.name, end.result, end.error) == ("id", "add", "3", None)


def test_two_calls_in_one_chunk_run() -> None:
    both = calling(0, "a").tool_calls + calling(1, "b").tool_calls
    tools = TimedTools()
    notes = [on_next(210, StreamChunk(tool_calls=both)), on_completed(220)]
    made = [tools.taking("a", 20), tools.taking("b", 10)]
    starts = [(210, "calls"), (210, "S a"), (210, "S b")]
    assert timeline(notes, made) == [*starts, (220, "E b"), (230, "E a"), (230, "|")]


def test_calls_of_other_choices_pass() -> None:
    tools = TimedTools()
    notes = [on_next(210, calling(0, "a", choice=1)), on_completed(220)]
    assert timeline(notes, [tools.taking("a", 1)]) == [(210, "calls"), (220, "|")]
    assert tools.started == []


def test_events_replace_call_items() -> None:
    token = StreamChunk("text")
    notes = [on_next(210, token), on_next(220, call("a")), on_completed(230)]
    marked, values, _ = run_marbles(notes, [TimedTools().taking("a", 5)])
    assert marked == [(210, "text"), (220, "S a"), (225, "E a"), (230, "|")]
    assert values[0] is token
    assert not any(isinstance(value, ToolCall) for value in values)


def test_progress_comes_before_the_end() -> None:
    notes = [on_next(210, call("n")), on_completed(220)]
    assert timeline(notes, [TimedTools().counting("n", 10)]) == [
        (210, "S n"),
        (230, "P n 0"),
        (240, "P n 1"),
        (240, "E n"),
        (240, "|"),
    ]


def test_empty_source_completes() -> None:
    assert timeline([on_completed(220)], []) == [(220, "|")]


# Order and concurrency.


def test_ends_keep_order_of_completion() -> None:
    tools = TimedTools()
    made = [tools.taking("slow", 90), tools.taking("quick", 10)]
    notes = [on_next(210, call("slow")), on_next(220, call("quick")), on_completed(230)]
    assert timeline(notes, made) == [
        (210, "S slow"),
        (220, "S quick"),
        (230, "E quick"),
        (300, "E slow"),
        (300, "|"),
    ]


@pytest.mark.parametrize(
    ("concurrency", "starts", "last"),
    [(1, [210, 260, 310], 360), (2, [210, 210, 260], 310), (3, [210, 210, 210], 260)],
)
def test_concurrency_is_limited(concurrency: int, starts: list[float], last: float) -> None:
    notes = [on_next(210, call("a", number=n)) for n in (1, 2, 3)]
    marked = timeline(
        [*notes, on_completed(211)], [TimedTools().taking("a", 50)], concurrency=concurrency
    )
    assert [time for time, mark in marked if mark[0] == "S"] == starts
    assert [mark for _, mark in marked if mark[0] == "E"] == ["E a_1", "E a_2", "E a_3"]
    assert marked[-1] == (last, "|")


def test_waiting_calls_keep_their_order() -> None:
    tools = TimedTools()
    made = [tools.taking(name, 50) for name in "abc"]
    notes = [on_next(210, call(name)) for name in "cab"]
    timeline([*notes, on_completed(211)], made, concurrency=1)
    assert tools.started == ["c", "a", "b"]


def test_failed_tool_frees_its_slot() -> None:
    tools = TimedTools()
    made = [tools.failing("bad", 10), tools.taking("good", 10)]
    notes = [on_next(210, call(name)) for name in ("bad", "none", "good")]
    marked, values, _ = run_marbles([*notes, on_completed(211)], made, concurrency=1)
    assert marked == [
        (210, "S bad"),
        (220, "E bad"),
        (220, "S none"),
        (220, "E none"),
        (220, "S good"),
        (230, "E good"),
        (230, "|"),
    ]
    bad, none, good = [value for value in values if isinstance(value, ToolEnd)]
    assert "broken" in bad.result
    assert none.error is not None
    assert none.error.kind == "ToolNotFoundError"
    assert "'none'" in none.result
    assert "bad, good" in none.result
    assert good.error is None


def test_invalid_arguments_are_a_result() -> None:
    @tool
    def add(a: int) -> Observable[int]:
        raise AssertionError("must not run")

    for arguments in ('{"a": ', "[1]", '{"a": "x"}', "{}", '{"a": 1, "b": 2}'):
        notes = [on_next(210, call("add", arguments)), on_completed(220)]
        _, (start, end), _ = run_marbles(notes, [add])
        assert isinstance(start, ToolStart)
        assert isinstance(end, ToolEnd)
        assert end.error is not None, arguments
        assert end.error.kind == "ToolArgumentsError", end
        assert end.result.startswith("Error: ")


def test_refused_call_does_not_run() -> None:
    def refuse(call: ToolCall) -> str | None:
        if call.id == "c":
            raise LookupError("no list of rules")
        return "it is not allowed" if call.id == "a" else None

    tools = TimedTools()
    notes = [on_next(210, ToolCall(name, "x", "{}")) for name in "abc"]
    marks, values, _ = run_marbles(
        [*notes, on_completed(220)], [tools.taking("x", 10)], refuse=refuse, concurrency=1
    )
    assert [mark for _, mark in marks] == ["S a", "E a", "S b", "E b", "S c", "E c", "|"]
    first, second, third = [value for value in values if isinstance(value, ToolEnd)]
    assert "'x' did not run: it is not allowed" in first.result
    assert first.error is not None
    assert second.error is None
    assert "no list of rules" in third.result
    assert tools.started == ["x"]


def test_nobody_is_asked_about_refused_call() -> None:
    asked: list[ToolCall] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call)
        return True

    made = TimedTools().taking("a", 10, requires_approval=True)
    notes = [on_next(210, call("a")), on_completed(220)]
    marks = timeline(notes, [made], refuse=lambda _: "no", approve=approve)
    assert marks == [(210, "S a"), (210, "E a"), (220, "|")]
    assert asked == []


# turn_end.


def test_turn_end_waits_for_completion() -> None:
    tools = TimedTools()
    made = [tools.taking("a", 50), tools.taking("b", 10)]
    notes = [on_next(210, calling(0, "a")), on_next(220, calling(1, "b")), on_completed(300)]
    assert timeline(notes, made, start="turn_end") == [
        (210, "calls"),
        (220, "calls"),
        (300, "S a"),
        (300, "S b"),
        (310, "E b"),
        (350, "E a"),
        (350, "|"),
    ]


def test_turn_end_runs_nothing_after_error() -> None:
    tools = TimedTools()
    notes = [on_next(210, calling(0, "a")), on_error(300, OSError("cut"))]
    marked = timeline(notes, [tools.taking("a", 1)], start="turn_end")
    assert marked == [(210, "calls"), (300, "# cut")]
    assert tools.started == []
