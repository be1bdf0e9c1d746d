"""`run_tools`: tools that require approval."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from agent_runs import HeldTool
from msgspec.structs import replace
from observing import Seen, pending
from reactivex import operators as rx_ops
from reactivex.subject import BehaviorSubject
from reactivex.testing import ReactiveTest, TestScheduler
from timed_tools import TimedTools, call

from rxagents import (
    ApprovalAnswer,
    ApprovalRequest,
    Approve,
    ConfigurationError,
    Deny,
    ToolCall,
    ToolEnd,
    ToolStart,
    tool,
)
from rxagents import operators as ops
from rxagents.testing.virtual_time import virtual_loop

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


def run_timed(tools: TimedTools, approve: Any, **options: Any) -> list[Any]:
    """Call a tool that takes 10 s and requires approval; return the items with their times."""
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(on_next(210, call("a")), on_completed(220))
    made = tools.taking("a", 10, requires_approval=True)
    observer: Any = scheduler.start(
        lambda: source.pipe(ops.run_tools([made], approve=approve, **options))
    )
    assert not pending(scheduler)
    notes = ((message.time, message.value) for message in observer.messages)
    return [(time, note.value if note.kind == "N" else note.kind) for time, note in notes]


def test_approved_tool_runs() -> None:
    asked: list[ToolCall] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call)
        return True

    tools = TimedTools()
    (asked_at, request), (_, answer), (started, start), (ended, end), last = run_timed(
        tools, approve
    )
    assert asked == [call("a")]
    assert (asked_at, started, ended, last) == (210, 210, 220, (220, "C"))
    assert isinstance(request, ApprovalRequest)
    assert isinstance(answer, ApprovalAnswer)
    assert answer.approved
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
        (lambda _: "yes", "it was not approved"),  # only True and Approve let a tool run
        (lambda _: 1, "it was not approved"),
        (lambda _: Deny("too dear"), "it was not approved (too dear)"),
        (lambda _: Deny(), "it was not approved"),
        (lambda _: rx.just(False), "it was not approved"),
        (lambda _: rx.empty(), "it was not approved"),
        (lambda _: rx.throw(OSError("the line is dead")), "the line is dead"),
        (refuse_by_raising, "the line is dead"),
        (refuse_without_words, "(a UnprintableError that cannot be printed)"),
        (refuse_with_half_a_character, "half ?"),
    ],
)
def test_refused_tool_does_not_run(approve: Any, reason: str) -> None:
    tools = TimedTools()
    (_, request), (_, answer), (time, end), _ = run_timed(tools, approve)
    assert time == 210
    assert isinstance(request, ApprovalRequest)
    assert isinstance(answer, ApprovalAnswer)
    assert not answer.approved
    assert reason in answer.reason
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


def test_first_decision_counts() -> None:
    tools = TimedTools()
    asked: list[int] = []
    decisions = rx.timer(5, 4).pipe(
        rx_ops.do_action(asked.append), rx_ops.map(lambda number: number == 0)
    )
    items = run_timed(tools, lambda _: decisions)
    assert [time for time, _ in items] == [210, 215, 215, 225, 225]
    assert tools.started == ["a"]
    assert asked == [0]  # the question ends at its first decision, while the tool runs


def test_decision_inside_subscribe_counts() -> None:
    tools = TimedTools()
    items = run_timed(tools, lambda _: BehaviorSubject(True).pipe(rx_ops.take(1)))
    assert [time for time, _ in items] == [210, 210, 210, 220, 220]
    assert tools.started == ["a"]


def test_late_decision_is_a_denial() -> None:
    tools = TimedTools()
    unsubscribed: list[bool] = []
    decisions = rx.timer(8).pipe(
        rx_ops.map(lambda _: True), rx_ops.finally_action(lambda: unsubscribed.append(True))
    )
    _, (time, answer), (_, end), _ = run_timed(tools, lambda _: decisions, approve_timeout=7)
    assert time == 217
    assert answer.reason == "it was not approved (there was no decision in 7 seconds)"
    assert "no decision in 7 seconds" in end.result
    assert (tools.started, unsubscribed) == ([], [True])


def test_decision_within_limit_lets_tool_run() -> None:
    tools = TimedTools()
    decisions = rx.timer(6).pipe(rx_ops.map(lambda _: True))
    items = run_timed(tools, lambda _: decisions, approve_timeout=7)
    assert [time for time, _ in items] == [210, 216, 216, 226, 226]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "soon"])
def test_bad_time_limit_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="approve_timeout"):
        ops.run_tools([], approve_timeout=seconds)


# On a loop: approval may take time.


@pytest.mark.parametrize(
    ("edited", "result"),
    [({"amount": 5}, "paid 5"), ({"amount": "5"}, "paid 5"), ({}, "'amount' is missing")],
)
async def test_edited_arguments_are_checked(edited: dict[str, Any], result: str) -> None:
    @tool(requires_approval=True)
    async def pay(amount: int) -> str:
        return f"paid {amount}"

    asked = rx.of(ToolCall("1", "pay", '{"amount": 900}'))
    seen = Seen(asked.pipe(ops.run_tools([pay], approve=lambda _: Approve(edited))))
    await seen.over.wait()
    request, answer, start, end, _ = seen.notes
    assert request.arguments == {"amount": 900}
    assert answer.arguments == start.arguments == edited
    assert result in end.result


async def test_plain_function_asks_on_a_thread() -> None:
    loop_thread, threads = threading.current_thread(), []

    def ask(_: ToolCall) -> bool:
        threads.append(threading.current_thread())
        return True

    seen = acting(ask)
    await seen.over.wait()
    assert seen.notes[-2].result == "done"
    assert [thread is not loop_thread and thread.daemon for thread in threads] == [True]
    threads[0].join(30)
    assert not threads[0].is_alive()


async def test_decided_call_has_no_time_limit_left() -> None:
    held = HeldTool()
    needs = replace(held.tool, requires_approval=True)
    operator = ops.run_tools([needs], approve=lambda _: True, approve_timeout=300)
    seen = Seen(rx.of(call("held")).pipe(operator))
    await held.running.wait()
    assert virtual_loop().timers == []
    held.release.set()
    await seen.over.wait()
    assert seen.notes[-2].result == "done"


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
        (lambda call: rx.timer(0.01).pipe(rx_ops.map(lambda _: True)), "done"),
    ],
)
async def test_approval_may_be_awaited(approve: Any, result: str) -> None:
    seen = acting(approve)
    await seen.over.wait()
    end, last = seen.notes[-2:]
    assert (seen.notes[0].content, last) == ("act", "end")
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
    assert [type(note) for note in seen.notes] == [ApprovalRequest]


async def test_early_dispose_asks_nobody() -> None:
    async def ask(_: ToolCall) -> bool:
        raise AssertionError("asked")

    seen = acting(ask)
    seen.subscription.dispose()
    await asyncio.sleep(0)
    assert [type(note) for note in seen.notes] == [ApprovalRequest]


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
