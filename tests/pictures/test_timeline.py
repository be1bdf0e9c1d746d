"""Test how the items of a run are sorted into lanes."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents import (
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    ErrorEvent,
    ErrorInfo,
    Handoff,
    MessageOutcome,
    Partial,
    Reasoning,
    Reset,
    StreamChunk,
    Thought,
    Token,
    ToolArguments,
    ToolCallDelta,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.pictures.lanes import MAX_ROWS, Bar, End, Lane, LaneKind
from rxagents.pictures.measures import axis, axis_label, gaps, seconds, summary
from rxagents.pictures.timeline import Timeline

DOWN = OSError("down")


def made(*items: tuple[float, object]) -> Timeline:
    timeline = Timeline()
    for at, item in items:
        timeline.add(at, item)
    return timeline


def lanes(timeline: Timeline) -> list[tuple[Any, ...]]:
    return [(*lane.path, lane.name) for lane in timeline.lanes]


def lane(timeline: Timeline, *names: str) -> Lane:
    return next(lane for lane in timeline.lanes if (*lane.path, lane.name) == names)


def bars(timeline: Timeline, *names: str) -> list[tuple[Any, ...]]:
    return [(bar.start, bar.end, bar.state, bar.is_void) for bar in lane(timeline, *names).bars]


def valid(timeline: Timeline, *names: str) -> list[float]:
    found = lane(timeline, *names)
    return [time for index, time in enumerate(found.times) if not found.is_void(index)]


def test_text_goes_to_its_lane() -> None:
    timeline = made(
        (0, TurnStart(1)),
        (1, Reasoning("hm")),
        (2, Token("so", "thought")),
        (3, Thought("so")),
        (4, Token("a", "answer")),
        (5, Partial({"a": 1})),
        (6, Token("b")),
    )
    assert lanes(timeline) == [("turns",), ("thoughts",), ("tokens",), ("partial answers",)]
    assert lane(timeline, "thoughts").times == [1, 2]
    assert lane(timeline, "tokens").texts == ["a", "b"]


def test_chunk_goes_to_the_lanes_of_its_parts() -> None:
    timeline = made(
        (1, StreamChunk("a", reasoning="hm")),
        (2, StreamChunk(refusal="no", choice=1)),
        (3, StreamChunk(tool_calls=(ToolCallDelta(0, "c", "add", "{"),))),
        (4, StreamChunk(tool_calls=(ToolCallDelta(0, "", "", "}"),))),
        (5, StreamChunk(finish_reason="tool_calls")),
    )
    assert lanes(timeline) == [("thoughts",), ("tokens",), ("tokens 2",), ("add",)]
    assert bars(timeline, "add") == [(3, 4, "writing", False)]
    assert timeline.finish_reason == "tool_calls"


def test_tool_call_is_a_bar() -> None:
    timeline = made(
        (1, ToolArguments("a", "add", "{")),
        (2, ToolArguments("a", "add", "}")),
        (3, ToolStart("a", "add")),
        (4, ToolProgress("a", "add", "half")),
        (5, ToolEnd("a", "add", "3")),
        (6, ToolStart("b", "add")),
        (7, ToolEnd("b", "add", "", ErrorInfo("ToolError", "no"))),
        (8, ToolStart("c", "add")),
    )
    assert bars(timeline, "add") == [
        (1, 2, "writing", False),
        (3, 5, "done", False),
        (6, 7, "failed", False),
        (8, None, "open", False),
    ]
    assert lane(timeline, "add").bars[1].ticks == [4]


def test_approval_is_a_bar_of_its_own_lane() -> None:
    timeline = made(
        (1, ApprovalRequest("a", "pay")),
        (2, ApprovalRequest("b", "pay")),
        (3, ApprovalAnswer("b", "pay", approved=False)),
        (3, ToolEnd("b", "pay", "", ErrorInfo("ToolError", "denied"))),
        (4, ApprovalAnswer("a", "pay", approved=True)),
        (5, ApprovalAnswer("of an earlier run", "pay", approved=True)),
    )
    assert bars(timeline, "approvals") == [
        (1, 4, "done", False),
        (2, 3, "failed", False),
        (5, 5, "done", False),
    ]
    assert bars(timeline, "pay") == [(3, 3, "failed", False)]


def test_sub_agent_comes_below_its_tool() -> None:
    path = ("research",)
    timeline = made(
        (0, Token("a", path=(*path, "deeper"))),
        (1, ToolStart("b", "add")),
        (2, ToolStart("a", "research")),
        (3, Token("a", path=path)),
        (4, ToolStart("c", "fetch", path=path)),
        (5, Token("a")),
        (6, ApprovalRequest("d", "pay")),
    )
    assert lanes(timeline) == [
        ("tokens",),
        ("add",),
        ("research",),
        ("research", "tokens"),
        ("research", "fetch"),
        ("research", "deeper"),
        ("research", "deeper", "tokens"),
        ("approvals",),
    ]


def test_reset_voids_the_present_turn() -> None:
    timeline = made(
        (0, TurnStart(1)),
        (1, Token("a")),
        (2, TurnEnd(1)),
        (3, TurnStart(2)),
        (4, Token("b")),
        (5, ToolStart("a", "add")),
        (6, Reset.of(DOWN)),
        (7, Token("c")),
        (8, TurnEnd(2)),
    )
    assert valid(timeline, "tokens") == [1, 7]
    assert bars(timeline, "turns") == [(0, 2, "done", False), (3, 8, "done", False)]
    assert bars(timeline, "add") == [(5, 6, "cancelled", True)]
    assert [(mark.at, mark.text) for mark in timeline.marks] == [(6, "reset: OSError")]


def test_restarted_run_voids_all_before_it() -> None:
    timeline = made(
        (0, TurnStart(1)),
        (1, Token("a")),
        (2, TurnEnd(1)),
        (3, TurnStart(2)),
        (4, Token("b")),
        (5, Reset.of(DOWN)),
        (6, TurnStart(1)),
        (7, Token("c")),
    )
    assert valid(timeline, "tokens") == [7]
    assert bars(timeline, "turns") == [
        (0, 2, "done", True),
        (3, 5, "cancelled", True),
        (6, None, "open", False),
    ]


def test_reset_of_sub_agent_voids_only_its_lanes() -> None:
    path = ("research",)
    timeline = made((1, Token("a")), (2, Token("b", path=path)), (3, Reset.of(DOWN)))
    assert valid(timeline, "tokens") == []
    timeline = made(
        (1, Token("a")), (2, Token("b", path=path)), (3, Reset(ErrorInfo("E", ""), path=path))
    )
    assert valid(timeline, "tokens") == [1]
    assert valid(timeline, "research", "tokens") == []


@pytest.mark.parametrize("from_file", [False, True])
def test_reset_chunk_voids_all_chunks(from_file: bool) -> None:
    reset = StreamChunk.reset(DOWN)
    if from_file:
        reset = StreamChunk(metadata={"reset": {"kind": "OSError", "message": "down"}})
    timeline = made((1, StreamChunk("a")), (2, reset), (3, StreamChunk("b")))
    assert valid(timeline, "tokens") == [3]
    assert [mark.text for mark in timeline.marks] == ["reset: OSError"]


def test_failed_attempts_are_one_mark() -> None:
    metadata = {"failed_attempts": (ErrorInfo("OverloadedError", "busy"),)}
    timeline = made(
        (1, StreamChunk("a", metadata=metadata)), (2, StreamChunk("b", metadata=metadata))
    )
    assert [(mark.at, mark.text) for mark in timeline.marks] == [(1, "after 1 retry")]


def test_handoffs_and_messages_are_marks() -> None:
    timeline = made((1, Handoff("billing")), (2, MessageOutcome("hi", "queued", 0)))
    assert [mark.text for mark in timeline.marks] == ["handoff: billing", "message queued"]


def test_failed_turn_is_marked() -> None:
    timeline = made((0, TurnStart(1)), (1, ErrorEvent(ErrorInfo("E", "no"))))
    assert bars(timeline, "turns") == [(0, 1, "failed", False)]


def test_other_items_have_a_lane() -> None:
    timeline = made((1, "a"), (2, {"b": 1}))
    assert lane(timeline, "items").texts == ["a", "{'b': 1}"]


def test_calls_at_the_same_time_have_rows() -> None:
    found = Lane(LaneKind.TOOL, "add", ())
    found.bars = [Bar("a", 0, 1, "writing"), Bar("b", 1, 4), Bar("a", 2, 3), Bar("c", 3, 5)]
    assert [[bar.key for bar in row] for row in found.rows(9)] == [["a", "a", "c"], ["b"]]
    found.bars = [Bar(str(number), 0, None) for number in range(MAX_ROWS + 5)]
    rows = found.rows(9)
    assert [len(row) for row in rows] == [1] * (MAX_ROWS - 1) + [6]


def test_gap_is_where_nothing_happens() -> None:
    timeline = made(
        (3, Token("a")),
        (3.1, Token("b")),
        (3.2, Token("c")),
        (3.3, ToolStart("a", "add")),
        (7, ToolEnd("a", "add")),
        (9, Token("d")),
    )
    assert gaps(timeline, 12) == [(0, 3), (7, 9), (9, 12)]


def test_even_pace_has_no_gap() -> None:
    assert gaps(made(*((float(n), Token("a")) for n in range(10))), 9) == []


@pytest.mark.parametrize(
    ("time", "text"),
    [(0, "0 ms"), (0.34, "340 ms"), (0.9999, "1.0 s"), (4.25, "4.2 s"), (185.2, "3 min 05 s")],
)
def test_seconds_have_a_unit(time: float, text: str) -> None:
    assert seconds(time) == text


@pytest.mark.parametrize(
    ("duration", "labels"),
    [
        (0.001, ["0", "0.5 ms", "1 ms"]),
        (1, ["0", "0.5 s", "1.0 s"]),
        (9, ["0", "5 s"]),
        (100, ["0:00", "1:00"]),
        (86_400, ["0:00", "720:00", "1440:00"]),
    ],
)
def test_axis_has_round_labels(duration: float, labels: list[str]) -> None:
    step, times = axis(duration, 2)
    assert [axis_label(time, step) for time in times] == labels


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (None, "running"),
        (End(2, "completed"), "completed: length"),
        (End(2, "failed", "IdleTimeoutError: too slow"), "failed: IdleTimeoutError"),
        (End(2, "disposed"), "disposed"),
        (End(2, "unknown"), "no end recorded"),
    ],
)
def test_summary_counts_and_ends(end: End | None, text: str) -> None:
    timeline = made((1, Token("a")), (1, ToolStart("a", "add")), (1, Reset.of(DOWN)))
    timeline.add(2, Complete(finish_reason="length"))
    if end is not None:
        timeline.finish(end)
    told = "1 token in 2.0 s, the first after 1.0 s, 1 tool call, 1 reset, "
    assert summary(timeline, 2) == told + text
