"""`filter_actions` in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import Answer, ConfigurationError, Thought, Token, ToolCall
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed

ADD = ToolCall("call_1", "add", "{}")
SEARCH = ToolCall("call_2", "search", "{}")
STEPS = [Token("a"), Thought("b"), ADD, "add", SEARCH, Answer("c"), None]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), [on_next(230, ADD), on_next(250, SEARCH)]),
        (("add",), [on_next(230, ADD)]),
        (("search", "add"), [on_next(230, ADD), on_next(250, SEARCH)]),
        (("sub",), []),
    ],
)
def test_calls_of_the_named_tools_are_kept(names: tuple[str, ...], expected: list[Any]) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + 10 * i, step) for i, step in enumerate(STEPS)), on_completed(300)
    )
    result = scheduler.start(lambda: source.pipe(ops.filter_actions(*names)))
    assert result.messages == [*expected, on_completed(300)]


@pytest.mark.parametrize("names", [("",), (None,), (1,), (["add"],), (ADD,)])
def test_what_is_no_name_is_refused_at_once(names: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError, match="names of tools"):
        ops.filter_actions(*names)
