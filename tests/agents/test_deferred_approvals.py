"""Runs that end because calls wait for decisions, and go on in another process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from agent_runs import (
    AgentKind,
    Calls,
    Function,
    HeldTool,
    ReAct,
    RunSeen,
    each_agent,
    seen_to_end,
    served,
)
from msgspec.structs import replace
from observing import pending
from reactivex import Observable
from reactivex.testing import TestScheduler
from timed_tools import TimedTools
from wires import SpokenWire, any_wire

from rxagents import (
    AgentResult,
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Approve,
    Complete,
    ConfigurationError,
    Deny,
    FunctionAgent,
    MaxIterationsError,
    Message,
    RunLimitError,
    StreamEvent,
    Token,
    ToolCall,
    ToolEnd,
    ToolStart,
    TurnStart,
    Usage,
    tool,
)
from rxagents.agents.control import RunControl
from rxagents.testing import Reply, ScriptedLLM

FIVE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)
OSLO = ("weather", {"city": "Oslo"})
PAY = ("pay", {"amount": 7})


class Payments:
    """The tool `pay`, which needs approval, and what was paid."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.tool = tool(requires_approval=True, name="pay")(self._pay)

    async def _pay(self, amount: int) -> str:
        self.paid.append(amount)
        return f"paid {amount}"


def deferring(agent: AgentKind, llm: Any, **options: Any) -> tuple[Any, Payments]:
    payments = Payments()
    tools = [payments.tool, Calls().weather()]
    return agent.make(llm, tools, approve="defer", **options), payments


def through_json(result: AgentResult) -> tuple[Message, ...]:
    return msgspec.json.decode(msgspec.json.encode(result.messages), type=tuple[Message, ...])


def through_msgpack(result: AgentResult) -> tuple[Message, ...]:
    data = msgspec.msgpack.encode(result.messages)
    return msgspec.msgpack.decode(data, type=tuple[Message, ...])


Stored = Callable[[AgentResult], tuple[Message, ...]]
any_encoding = pytest.mark.parametrize(
    "stored", [through_json, through_msgpack], ids=["json", "msgpack"]
)


@each_agent
@any_wire
async def test_run_ends_with_waiting_calls(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.calls(OSLO, PAY, usage=FIVE)) as (server, llm):
        made, payments = deferring(agent, llm)
        seen = await seen_to_end(made.run_stream("Pay 7"))
        assert seen.completed
        assert payments.paid == []
        assert [type(event) for event in seen.events if type(event) in SHOWN] == [
            ToolStart,
            ApprovalRequest,
            ToolEnd,
            Complete,
        ]
        [request] = seen.all(ApprovalRequest)
        last = seen.events[-1]
        assert isinstance(last, Complete)
        assert (last.content, last.finish_reason) == ("", "approval")
        [call] = last.pending
        assert (call.id, call.name, call.parse()) == (request.call_id, *PAY)
        assert seen.all(Answer) == []
        assert len(server.requests) == 1


SHOWN = {ToolStart, ToolEnd, ApprovalRequest, ApprovalAnswer, Answer, Complete}


@each_agent
@any_wire
@any_encoding
async def test_approved_call_runs_in_another_process(
    agent: AgentKind, wire: SpokenWire, stored: Stored
) -> None:
    turns = agent.calls(OSLO, PAY, usage=FIVE), agent.answers("Paid.", usage=FIVE)
    async with served(wire, *turns) as (server, llm):
        first, _ = deferring(agent, llm)
        result = await first.run("Pay 7")
        made, payments = deferring(agent, llm)  # another process makes its own
        [call] = result.pending
        seen = await seen_to_end(made.resume_stream(stored(result), {call.id: True}))
        assert payments.paid == [7]
        assert [type(event) for event in seen.items if type(event) in {*SHOWN, TurnStart}] == [
            ApprovalAnswer,
            ToolStart,
            ToolEnd,
            TurnStart,
            Answer,
            Complete,
        ]
        assert [event.number for event in seen.all(TurnStart)] == [2]
        complete = seen.events[-1]
        assert isinstance(complete, Complete)
        assert (complete.content, complete.iterations, complete.pending) == ("Paid.", 2, ())
        assert complete.usage is not None
        assert (complete.usage.input_tokens, complete.usage.output_tokens) == (6, 4)
        body = server.requests[1].body.decode()
        assert 0 < body.index("Oslo is cold") < body.index("paid 7")
        assert body.count("paid 7") == 1
        assert body.count("Action: pay(") == (1 if agent.name == "react" else 0)


@each_agent
@any_wire
async def test_decisions_deny_and_edit(agent: AgentKind, wire: SpokenWire) -> None:
    turn = agent.calls(PAY, ("pay", {"amount": 900}), ("pay", {"amount": 1}))
    async with served(wire, turn, agent.answers("Done.")) as (server, llm):
        made, payments = deferring(agent, llm)
        result = await made.run("Pay")
        first, second, third = [call.id for call in result.pending]
        decisions = {first: Approve({"amount": 5}), second: Deny("too much"), third: False}
        result = await made.resume(through_json(result), decisions)
        assert (result.output, result.finish_reason, result.pending) == ("Done.", "stop", ())
        assert payments.paid == [5]
        body = server.requests[1].body.decode()
        assert 0 < body.index("paid 5") < body.index("it was not approved (too much)")
        assert body.count("it was not approved") == 2


@each_agent
async def test_resumed_run_may_wait_again(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(PAY), agent.calls(PAY), agent.answers("Twice."))
    made, payments = deferring(agent, llm)
    result = await made.run("Pay twice")
    for _ in range(2):
        assert result.finish_reason == "approval"
        [call] = result.pending
        result = await made.resume(through_json(result), {call.id: True})
    assert (result.output, result.iterations, payments.paid) == ("Twice.", 3, [7, 7])
    assert "deferred" not in str(result.messages)


@each_agent
async def test_missing_and_unknown_ids_are_named(agent: AgentKind) -> None:
    made, payments = deferring(agent, ScriptedLLM(agent.calls(PAY)))
    result = await made.run("Pay")
    [call] = result.pending
    with pytest.raises(ConfigurationError, match=rf"\['{call.id}'\] have no decision"):
        made.resume_stream(result.messages, {})
    with pytest.raises(ConfigurationError, match=r"\['call_x'\] do not wait"):
        made.resume_stream(result.messages, {call.id: True, "call_x": True})
    with pytest.raises(ConfigurationError, match=r"must be True, False, Approve or Deny, not 1"):
        made.resume_stream(result.messages, {call.id: 1})
    with pytest.raises(ConfigurationError, match="must be a dict of call ids, not list"):
        made.resume_stream(result.messages, [call.id])
    with pytest.raises(ConfigurationError, match="no call waits for approval"):
        await made.resume("hi", {call.id: True})
    assert payments.paid == []


@each_agent
@any_wire
async def test_new_message_denies_the_calls(agent: AgentKind, wire: SpokenWire) -> None:
    turns = agent.calls(OSLO, PAY), agent.answers("All right.")
    async with served(wire, *turns) as (server, llm):
        made, payments = deferring(agent, llm)
        result = await made.run("Pay 7")
        messages = through_json(result)
        with pytest.raises(ConfigurationError, match="Pass the messages and the decisions"):
            made.run_stream(messages)
        result = await made.run((*messages, Message.user("Do not pay.")))
        assert (result.output, payments.paid) == ("All right.", [])
        body = server.requests[1].body.decode()
        assert 0 < body.index("Oslo is cold") < body.index("denied: superseded")
        assert body.index("denied: superseded") < body.index("Do not pay.")
        assert "deferred" not in str(result.messages)


@each_agent
async def test_steered_run_denies_the_calls(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(PAY, interval=1), agent.answers("All right."))
    made, payments = deferring(agent, llm)
    run = made.start("Pay")
    seen = RunSeen(run.events)
    await seen.first.wait()
    assert run.steer("No, wait.")
    result = await run.result
    assert (result.output, result.pending, payments.paid) == ("All right.", (), [])
    said = str(llm.requests[1].messages)
    assert 0 < said.index("denied: superseded") < said.index("No, wait.")


@each_agent
async def test_limits_go_on_over_the_pause(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(OSLO, PAY, usage=FIVE), *[agent.answers("x", usage=FIVE)] * 3)
    result = await deferring(agent, llm)[0].run("Pay")
    [call] = result.pending
    for options, error in [
        ({"max_iterations": 1}, MaxIterationsError),
        ({"max_tool_calls": 1}, RunLimitError),
        ({"max_total_tokens": 5}, RunLimitError),
    ]:
        made, _ = deferring(agent, llm, **options)
        with pytest.raises(error) as raised:
            await made.resume(through_json(result), {call.id: True})
        assert raised.value.iterations == 1  # type: ignore[attr-defined]  # set by the run
        assert raised.value.usage.total_tokens == 5  # type: ignore[attr-defined]  # the same
        roles = {each.role for each in raised.value.messages}  # type: ignore[attr-defined]  # the same
        assert ("tool" in roles) is (agent.name == "function")
    assert len(llm.requests) == 1
    made, _ = deferring(agent, llm, max_iterations=2, max_tool_calls=2, max_total_tokens=6)
    assert (await made.resume(through_json(result), {call.id: True})).output == "x"


@each_agent
async def test_arguments_without_json_do_not_wait(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.raw_calls(("pay", '{"amount": }')), agent.answers("Sorry."))
    made, payments = deferring(agent, llm)
    result = await made.run("Pay")
    assert (result.output, result.pending, payments.paid) == ("Sorry.", (), [])


async def test_messages_without_mark_are_resumed() -> None:
    messages = [Message.user("Pay"), Message.assistant(call_of("call_1"))]
    llm = ScriptedLLM("Paid.")
    payments = Payments()
    agent = FunctionAgent(llm, [payments.tool], approve="defer")
    result = await agent.resume(messages, {"call_1": True})
    assert (result.output, result.iterations, payments.paid) == ("Paid.", 2, [7])


async def test_broken_mark_is_refused() -> None:
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("call_1", "pay", "{}")]))
    agent = FunctionAgent(llm, [Payments().tool], approve="defer")
    result = await agent.run("Pay")
    text = msgspec.json.encode(result.messages).replace(b'"iterations":1', b'"iterations":"x"')
    messages = msgspec.json.decode(text, type=tuple[Message, ...])
    with pytest.raises(ConfigurationError, match="are not those of a run that waits"):
        agent.resume_stream(messages, {"call_1": True})


def about(events: list[StreamEvent], call_id: str) -> list[type]:
    kinds = (ApprovalRequest, ApprovalAnswer, ToolStart, ToolEnd)
    return [type(each) for each in events if isinstance(each, kinds) and each.call_id == call_id]


@each_agent
async def test_tool_that_is_gone_or_needs_no_approval(agent: AgentKind) -> None:
    @tool(name="pay")
    async def pay_at_once(amount: int) -> str:
        return f"paid {amount} at once"

    for tools, decision, kinds, text in [
        ([], True, [ToolStart, ToolEnd], "There is no tool 'pay'"),
        ([pay_at_once], True, [ApprovalAnswer, ToolStart, ToolEnd], "paid 7 at once"),
        ([pay_at_once], False, [ApprovalAnswer, ToolEnd], "it was not approved"),
    ]:
        llm = ScriptedLLM(agent.calls(PAY), agent.answers("Done."))
        result = await deferring(agent, llm)[0].run("Pay")
        [call] = result.pending
        made = agent.make(llm, tools)
        seen = await seen_to_end(made.resume_stream(result.messages, {call.id: decision}))
        assert about(seen.events, call.id) == kinds
        assert text in str(llm.requests[1].messages)


@pytest.mark.parametrize("approve", ["later", "", 5, True])
def test_other_words_for_approve_are_refused(approve: Any) -> None:
    with pytest.raises(ConfigurationError, match="approve must be"):
        FunctionAgent(ScriptedLLM("x"), approve=approve)
    with pytest.raises(ConfigurationError, match="takes no approve_timeout"):
        FunctionAgent(ScriptedLLM("x"), approve="defer", approve_timeout=5)


@each_agent
@any_wire
async def test_dispose_cancels_the_resumed_call(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    needs = replace(held.tool, requires_approval=True)
    async with served(wire, agent.calls(("held", {}))) as (server, llm):
        made = agent.make(llm, [needs], approve="defer")
        result = await made.run("hi")
        [call] = result.pending
        seen = RunSeen(made.resume_stream(result.messages, {call.id: True}))
        await held.running.wait()
        await seen.assert_silent()
        await held.cancelled.wait()
        assert len(server.requests) == 1


@each_agent
@any_wire
async def test_dispose_closes_the_request_after_resume(agent: AgentKind, wire: SpokenWire) -> None:
    turns = agent.calls(PAY), agent.answers("a b c d", interval=60)
    async with served(wire, *turns) as (server, llm):
        made, _ = deferring(agent, llm)
        result = await made.run("Pay")
        [call] = result.pending
        seen = RunSeen(made.resume_stream(result.messages, {call.id: True}))
        await seen.saw(Token)
        await seen.assert_silent()
        await server.disconnected()


@each_agent
def test_resumed_run_takes_its_tools_time(agent: AgentKind) -> None:
    tools = TimedTools()
    quick, slow = (tools.taking(*each, requires_approval=True) for each in (("a", 10), ("b", 30)))
    llm = ScriptedLLM(agent.calls(("a", {}), ("b", {})), agent.answers("done", delay=10))
    made = agent.make(llm, [quick, slow], approve="defer")
    assert [mark for _, mark in virtual(made.run_stream("hi"))] == [
        "approval_request a",
        "approval_request b",
        "complete",
        "|",
    ]
    assert tools.started == []
    calls = [ToolCall("1", "a", "{}"), ToolCall("2", "b", "{}")]
    messages = [Message.user("hi"), Message.assistant(*calls)]
    stream = made.resume_stream(messages, {"1": True, "2": True})
    llm = ScriptedLLM(agent.answers("done", delay=10))
    marks = virtual(agent.make(llm, [quick, slow]).resume_stream(messages, {"1": True, "2": True}))
    assert [each for each in marks if each[1].startswith(("approval", "tool", "answer"))] == [
        (200, "approval_answer"),
        (200, "tool_start a"),
        (200, "approval_answer"),
        (200, "tool_start b"),
        (210, "tool_end a"),
        (230, "tool_end b"),
        (240, "answer done"),
    ]
    for moment in (205, 215, 235):
        virtual(stream, disposed=moment)


def virtual(stream: Observable[StreamEvent], disposed: float = 1000) -> list[tuple[float, str]]:
    """Subscribe at 200 of virtual time; nothing may be left scheduled at the end."""
    scheduler = TestScheduler()
    observer: Any = scheduler.start(lambda: stream, disposed=disposed)
    assert not pending(scheduler)
    marks = [(message.time, _mark(message.value)) for message in observer.messages]
    return [
        each for each in marks if not each[1].startswith(("turn", "token", "thought", "tool_arg"))
    ]


def _mark(note: Any) -> str:
    if note.kind != "N":
        return "|" if note.kind == "C" else f"# {type(note.exception).__name__}"
    return f"{note.value.type} {note.value.content}".strip()


@each_agent
async def test_stopped_resume_ends_with_what_there_is(agent: AgentKind) -> None:
    held = HeldTool()
    needs = replace(held.tool, requires_approval=True)
    llm = ScriptedLLM(agent.calls(PAY, ("held", {})))
    payments = Payments()
    made = agent.make(llm, [payments.tool, needs], approve="defer")
    result = await made.run("hi")
    decisions = {call.id: True for call in result.pending}
    control = RunControl()
    seen = RunSeen(made._events(result.messages, made.run_options(), control, decisions))
    await held.running.wait()
    await seen.saw(ToolEnd)
    control.stop()
    await seen.over.wait()
    assert seen.completed
    last = seen.events[-1]
    assert isinstance(last, Complete)
    assert (last.content, last.finish_reason) == ("", "cancelled")
    said = str(control.checked_result().messages)
    assert "paid 7" in said
    assert "The run was stopped before this call ended" in said


@each_agent
async def test_limit_in_resumed_turn_asks_for_the_answer(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.answers("x"))
    made, payments = deferring(agent, llm, max_tool_calls=1, at_limit="answer")
    waiting = [Message.user("Pay"), Message.assistant(call_of("1"), call_of("2"))]
    result = await made.resume(waiting, {"1": True, "2": True})
    assert (result.output, result.finish_reason, payments.paid) == ("x", "limit", [7])


def call_of(call_id: str) -> ToolCall:
    return ToolCall(call_id, "pay", json.dumps(PAY[1]))


@any_wire
async def test_mark_has_no_raw_usage(wire: SpokenWire) -> None:
    agent = Function()
    async with served(wire, agent.calls(PAY, usage=FIVE)) as (_, llm):
        result = await deferring(agent, llm)[0].run("Pay")
        assert result.usage is not None
        assert result.usage.raw
        mark = result.messages[-1].provider_data["agent"]["deferred"]
        assert (mark["usage"]["input_tokens"], mark["usage"]["raw"]) == (3, {})


async def test_estimated_usage_goes_on() -> None:
    agent = Function()
    long = agent.answers("word " * 50, interval=1)
    llm = ScriptedLLM(long, agent.calls(PAY), agent.answers("Paid."))
    made, _ = deferring(agent, llm)
    run = made.start("Pay")
    await RunSeen(run.events).saw(Token, 2)
    run.steer("Now!", now=True)
    deferred = await run.result
    assert deferred.finish_reason == "approval"
    assert deferred.estimated_usage is not None
    result = await made.resume(through_json(deferred), {deferred.pending[0].id: True})
    assert result.estimated_usage == replace(deferred.estimated_usage, raw={})


async def test_react_drops_an_answer_beside_a_waiting_call() -> None:
    agent = ReAct()
    text = 'Thought: hm\nAction: pay({"amount": 7})\nThought: done\nAnswer: I paid.'
    llm = ScriptedLLM(Reply(text), agent.answers("Paid."))
    made, payments = deferring(agent, llm)
    result = await made.run("Pay")
    assert (result.finish_reason, result.output) == ("approval", "")
    assert "I paid." not in str(result.messages)
    result = await made.resume(through_json(result), {result.pending[0].id: True})
    assert (result.output, payments.paid) == ("Paid.", [7])


async def test_traces_of_both_parts_are_the_whole_trace() -> None:
    agent = ReAct()
    llm = ScriptedLLM(agent.calls(OSLO), agent.calls(PAY), agent.answers("Paid."))
    made, _ = deferring(agent, llm)
    deferred = await made.run("Pay")
    result = await made.resume(through_json(deferred), {deferred.pending[0].id: True})
    steps = [(step.action, step.observation) for step in (*deferred.trace, *result.trace)]
    assert steps == [
        ("weather", "Oslo is cold"),
        ("pay", ""),
        ("pay", "paid 7"),
        ("", ""),
    ]


@each_agent
async def test_resumed_run_has_a_handle(agent: AgentKind) -> None:
    made, payments = deferring(agent, ScriptedLLM(agent.calls(PAY), agent.answers("Paid.")))
    result = await made.run("Pay 7")
    [call] = result.pending
    run = made.start_resumed(result.messages, {call.id: True})
    assert (await run.result).output == "Paid."
    assert payments.paid == [7]
    with pytest.raises(ConfigurationError, match="call_x"):
        made.start_resumed(result.messages, {"call_x": True})
