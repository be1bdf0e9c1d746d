"""Approvals in a run, over HTTP: edit, denial, time limit, dispose while a person thinks."""

from __future__ import annotations

import asyncio

import pytest
from agent_runs import AgentKind, RunSeen, each_agent, seen_to_end, served
from wires import SpokenWire, any_wire

from rxagents import (
    ApprovalAnswer,
    ApprovalRequest,
    Approve,
    Conversation,
    Decision,
    Deny,
    Memory,
    RunLimitError,
    StreamEvent,
    ToolCall,
    ToolEnd,
    ToolStart,
    tool,
)
from rxagents.testing import ScriptedLLM


@tool(requires_approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def decide(call: ToolCall) -> Decision:
    return Approve({"amount": 5}) if call.parse()["amount"] > 5 else Deny("too little")


def kinds(events: list[StreamEvent], call_id: str) -> list[type]:
    about = (ApprovalRequest, ApprovalAnswer, ToolStart, ToolEnd)
    return [
        type(event) for event in events if isinstance(event, about) and event.call_id == call_id
    ]


@each_agent
@any_wire
async def test_person_edits_and_denies(agent: AgentKind, wire: SpokenWire) -> None:
    turn = agent.calls(("pay", {"amount": 900}), ("pay", {"amount": 1}))
    async with served(wire, turn, agent.answers("Done.")) as (server, llm):
        seen = await seen_to_end(agent.make(llm, [pay], approve=decide).run_stream("hi"))
        assert seen.completed
        edited, denied = [e for e in seen.events if isinstance(e, ApprovalRequest)]
        assert kinds(seen.events, edited.call_id) == [
            ApprovalRequest,
            ApprovalAnswer,
            ToolStart,
            ToolEnd,
        ]
        assert kinds(seen.events, denied.call_id) == [ApprovalRequest, ApprovalAnswer, ToolEnd]
        body = server.requests[1].body.decode()
        assert "paid 5" in body
        assert "it was not approved (too little)" in body


@each_agent
@any_wire
async def test_dispose_while_approval_waits(agent: AgentKind, wire: SpokenWire) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def never(_: ToolCall) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return True

    async with served(wire, agent.calls(("pay", {"amount": 1}))) as (_, llm):
        seen = RunSeen(agent.make(llm, [pay], approve=never).run_stream("hi"))
        await asked.wait()
        await seen.assert_silent()
        await cancelled.wait()


@each_agent
async def test_late_decision_denies_the_call(agent: AgentKind) -> None:
    async def think(_: ToolCall) -> bool:
        await asyncio.sleep(60)
        return True

    llm = ScriptedLLM(agent.calls(("pay", {"amount": 1})), agent.answers("Done."))
    made = agent.make(llm, [pay], approve=think, approve_timeout=30)
    start = asyncio.get_running_loop().time()
    seen = await seen_to_end(made.run_stream("hi"))
    assert asyncio.get_running_loop().time() - start == pytest.approx(30, abs=1)
    (end,) = [event for event in seen.events if isinstance(event, ToolEnd)]
    assert "no decision in 30 seconds" in end.result


@each_agent
async def test_denied_calls_are_not_counted(agent: AgentKind) -> None:
    turns = [agent.calls(("pay", {"amount": amount})) for amount in (1, 900, 900)]
    llm = ScriptedLLM(*turns, agent.answers("Done."))
    made = agent.make(llm, [pay], approve=decide, max_tool_calls=1)
    with pytest.raises(RunLimitError):
        await made.run("hi")
    assert len(llm.requests) == 3


@each_agent
async def test_memory_keeps_the_denied_call(agent: AgentKind) -> None:
    llm = ScriptedLLM(
        agent.calls(("pay", {"amount": 1})), agent.answers("Done."), agent.answers("Again.")
    )
    made = Conversation(agent.make(llm, [pay], approve=decide), memory=Memory())
    await made.run("hi")
    await made.run("and now?")
    said = str(llm.requests[2].messages)
    assert "too little" in said
    assert "amount" in said


@each_agent
async def test_arguments_without_json_deny_the_call(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(("pay", {"amount": 9})), agent.answers("Done."))
    run = agent.make(llm, [pay], approve=lambda call: Approve({"amount": object()}))
    seen = await seen_to_end(run.run_stream("hi"))
    assert seen.completed
    (end,) = seen.all(ToolEnd)
    assert "it could not be approved" in end.result


@each_agent
async def test_approved_call_keeps_its_place_in_the_messages(agent: AgentKind) -> None:
    @tool
    async def look(where: str) -> str:
        return f"looked {where}"

    async def think(call: ToolCall) -> Decision:
        await asyncio.sleep(5)  # the other call has ended by then
        return decide(call)

    turn = agent.calls(("pay", {"amount": 900}), ("look", {"where": "here"}))
    llm = ScriptedLLM(turn, agent.answers("Done."))
    result = await agent.make(llm, [pay, look], approve=think).run("hi")
    said = str(llm.requests[1].messages)
    assert 0 < said.index("paid 5") < said.index("looked here")
    assert said.count("paid 5") == said.count("looked here") == 1
    if result.trace:  # a ReActAgent's: the steps have the arguments that were used
        assert [step.arguments for step in result.trace[:2]] == [{"amount": 5}, {"where": "here"}]
        assert 'Action: pay({"amount":5})' in said
