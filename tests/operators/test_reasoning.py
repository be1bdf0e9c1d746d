"""Test `reasoning` in virtual time."""

from __future__ import annotations

import pytest
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, StreamChunk, Usage
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed

CHUNKS = [
    StreamChunk(reasoning="Hm"),
    StreamChunk("Hel"),
    StreamChunk(reasoning="well", choice=1),
    StreamChunk("lo", reasoning="so", finish_reason="stop"),
    StreamChunk(usage=Usage(1, 2)),
]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (0, [on_next(210, "Hm"), on_next(240, "so"), on_completed(300)]),
        (1, [on_next(230, "well"), on_completed(300)]),
        (2, [on_completed(300)]),
    ],
)
def test_emits_thinking_text_of_one_choice(choice: int, expected: list[object]) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + 10 * i, chunk) for i, chunk in enumerate(CHUNKS)), on_completed(300)
    )
    result = scheduler.start(lambda: source.pipe(ops.reasoning(choice)))
    assert result.messages == expected


def test_invalid_choice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choice"):
        ops.reasoning(-1)
