"""Test `text` in virtual time."""

from __future__ import annotations

import pytest
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import StreamChunk, ToolCallDelta, Usage
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed

CHUNKS = [
    StreamChunk(reasoning="hm"),
    StreamChunk("Hel"),
    StreamChunk("Hal", choice=1),
    StreamChunk(refusal="no", tool_calls=(ToolCallDelta(0, "a"),)),
    StreamChunk("lo", finish_reason="stop"),
    StreamChunk("lo", choice=1),
    StreamChunk(usage=Usage(1, 2)),
]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (0, [on_next(220, "Hel"), on_next(250, "lo"), on_completed(300)]),
        (1, [on_next(230, "Hal"), on_next(260, "lo"), on_completed(300)]),
        (2, [on_completed(300)]),
    ],
)
def test_emits_deltas_of_one_choice(choice: int, expected: list[object]) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + 10 * i, chunk) for i, chunk in enumerate(CHUNKS)), on_completed(300)
    )
    result = scheduler.start(lambda: source.pipe(ops.text(choice)))
    assert result.messages == expected
