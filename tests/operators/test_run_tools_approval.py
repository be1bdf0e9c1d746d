"""`run_tools`: tools that require approval."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Seen, pending
from reactivex.testing import ReactiveTest, TestScheduler
from timed_tools import TimedTools, call

from rxagents import ToolCall, ToolEnd, ToolStart, tool
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


def run_timed(tools: TimedTools, approve: Any) -> list[Any]:
    """Call a tool that takes 10 s and requires approval; return the items with their times."""
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(on_next(210, call("a")), on_completed(220))
    made = tools.taking("a", 10, requires_approval=True)
    observer: Any = scheduler.start(lambda: source.pipe(ops.run_tools([made], approve=approve)))
    assert not pending(scheduler)
    notes = ((message.time, message.value) for message in observer.messages)
    return [(time, note.value if note.kind == "N" else note.kind) for time, note in notes]


def test_approved_tool_runs() -> None:
    asked: list[ToolCall] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call)
        return True

    tools = TimedTools()
    (started, start), (ended, end), last = run_timed(tools, approve)
    assert asked == [call("a")]
    assert (started, ended, last) == (210, 220, (220, "C"))
    assert isinstance(start, ToolStart)
    assert (end.result, end.error, tools.started) == ("a", None, ["a"])


def refuse_by_raising(_: ToolCall) -> bool:
    raise OSError("the line is dead")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no")


def refuse_without_words(_: ToolCall) -> bool:
    raise UnprintableError


def refuse_with_half_a_character(_: ToolCall) -> bool:
    raise OSError("half \ud800")


@pytest.mark.parametrize(
    ("approve", "reason"),
    [
        (None, "it was not approved"),
        (lambda _: False, "it was not approved"),
        (lambda _: None, "it was not approved"),
        (lambda _: "yes", "it was not approved"),  # only True approves
        (refuse_by_raising, "the line is dead"),
        (refuse_without_words, "(a UnprintableError that cannot be printed)"),
        (refuse_with_half_a_character, "half ?"),
    ],
)
def test_refused_tool_does_not_run(approve: Any, reason: str) -> None:
    tools = TimedTools()
    _, (time, end), _ = run_timed(tools, approve)
    assert time == 210
    assert tools.started == []
    assert isinstance(end, ToolEnd)
    assert end.error is not None
    assert end.error.kind == "ToolError"
    assert end.result.startswith("Error: ")
    assert reason in end.result


def test_approval_is_asked_only_if_required() -> None:
    tools = TimedTools()
    source = rx.of(call("b"))
    scheduler = TestScheduler()
    operator = ops.run_tools([tools.taking("b", 1)], approve=refuse_by_raising)
    scheduler.start(lambda: source.pipe(operator))
    assert tools.started == ["b"]


# On a loop: approval may take time.


@tool(requires_approval=True)
async def act() -> str:
    return "done"


def acting(approve: Any) -> Seen:
    return Seen(rx.of(call("act")).pipe(ops.run_tools([act], approve=approve)))


async def agree(_: ToolCall) -> bool:
    await asyncio.sleep(0)
    return True


async def decline(_: ToolCall) -> bool:
    return False


async def fail(_: ToolCall) -> bool:
    raise OSError("the line is dead")


async def be_cancelled(_: ToolCall) -> bool:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("approve", "result"),
    [
        (agree, "done"),
        (lambda call: agree(call), "done"),
        (decline, "not approved"),
        (fail, "the line is dead"),
        (be_cancelled, "could not be approved"),
    ],
)
async def test_approval_may_be_awaited(approve: Any, result: str) -> None:
    seen = acting(approve)
    await seen.over.wait()
    start, end, last = seen.notes
    assert (start.content, last) == ("act", "end")
    assert result in end.result


async def test_dispose_cancels_the_approval() -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def ask(_: ToolCall) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return True

    seen = acting(ask)
    await asked.wait()
    seen.subscription.dispose()
    await cancelled.wait()
    assert [type(note) for note in seen.notes] == [ToolStart]


async def test_early_dispose_asks_nobody() -> None:
    async def ask(_: ToolCall) -> bool:
        raise AssertionError("asked")

    seen = acting(ask)
    seen.subscription.dispose()
    await asyncio.sleep(0)
    assert [type(note) for note in seen.notes] == [ToolStart]


async def test_exception_at_refusal_reported_once(
    loop_errors: list[Exception],
) -> None:
    asked: list[ToolCall] = []
    raised = asyncio.Event()

    def take(event: Any) -> None:
        if isinstance(event, ToolEnd):
            raised.set()
            raise KeyError("mine")

    def end(*_: Any) -> None:
        raise AssertionError("no terminal")

    def decline(call: ToolCall) -> bool:
        asked.append(call)
        return False

    operator = ops.run_tools([act], approve=decline)
    rx.of(call("act")).pipe(operator).subscribe(take, end, end)
    await raised.wait()
    await asyncio.sleep(0)
    assert len(asked) == 1
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()
