"""Test `of_type` in virtual time."""

from __future__ import annotations

from typing import Any, assert_type

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import Answer, ConfigurationError, StreamEvent, Thought, Token
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed

STEPS = [Token("a", timestamp=0), Thought("b", timestamp=0), Answer("c", timestamp=0), "d", None]


def kept(*types: Any) -> list[Any]:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + 10 * i, step) for i, step in enumerate(STEPS)), on_completed(300)
    )
    return scheduler.start(lambda: source.pipe(ops.of_type(*types))).messages


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((Token,), [on_next(210, STEPS[0])]),
        ((Answer, Token), [on_next(210, STEPS[0]), on_next(230, STEPS[2])]),
        ((str, type(None)), [on_next(240, "d"), on_next(250, None)]),
        ((StreamEvent,), [on_next(210 + 10 * i, STEPS[i]) for i in range(3)]),
        ((int,), []),
    ],
)
def test_instances_of_types_are_kept(types: tuple[Any, ...], expected: list[Any]) -> None:
    assert kept(*types) == [*expected, on_completed(300)]


def test_instances_of_subclasses_are_kept() -> None:
    out: list[int] = []
    rx.of(True, "a", 2).pipe(ops.of_type(int)).subscribe(out.append)
    assert out == [True, 2]


def test_type_checker_knows_result() -> None:
    source: Observable[StreamEvent] = rx.empty()
    assert_type(source.pipe(ops.of_type(Token)), Observable[Token])
    assert_type(source.pipe(ops.of_type(Token, Answer)), Observable[Token | Answer])
    assert_type(
        source.pipe(ops.of_type(Token, Answer, Thought)), Observable[Token | Answer | Thought]
    )


@pytest.mark.parametrize("types", [(), ("Token",), (Token, 1), (list[int],), (None,)])
def test_non_type_is_refused(types: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError, match="of_type"):
        ops.of_type(*types)
