"""Failures that end a run of either agent, and those that do not, on every wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_runs import (
    AgentKind,
    Calls,
    HeldTool,
    each_agent,
    seen_to_end,
    served,
)
from wires import SpokenWire, any_wire

import rxagents
from rxagents import Answer, Token, ToolEnd, ToolStart, tool
from rxagents.testing import Ending, Reply, StatusReply

SAY = Reply("Say nothing more, I am cut off", ending=Ending.FIN, cut_after=4)


# The model fails.


@each_agent
@any_wire
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, rxagents.AuthenticationError), (500, rxagents.ServerError)],
)
async def test_error_status_fails_the_run(
    agent: AgentKind, wire: SpokenWire, status: int, kind: type[Exception]
) -> None:
    async with served(wire, StatusReply(status, "no")) as (_, llm):
        seen = await seen_to_end(agent.make(llm).run_stream("hi"))
        seen.assert_failed(kind)
        assert len(seen.events) == 1


@each_agent
@any_wire
@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (StatusReply(400, "no"), rxagents.BadRequestError),
        (StatusReply(503, "down"), rxagents.OverloadedError),
        (SAY, rxagents.ProviderError),
        (Reply("Hm", error=rxagents.ServerError("broken", status=500)), rxagents.ProviderError),
    ],
    ids=["400", "503", "cut", "error in the stream"],
)
async def test_later_failure_fails_the_run(
    agent: AgentKind, wire: SpokenWire, second: Any, kind: type[Exception]
) -> None:
    calls = Calls()
    first = agent.calls(("weather", {"city": "Oslo"}))
    async with served(wire, first, second) as (server, llm):
        seen = await seen_to_end(agent.make(llm, [calls.weather()]).run_stream("hi"))
        seen.assert_failed(kind)
        assert [end.result for end in seen.all(ToolEnd)] == ["Oslo is cold"]
        assert not seen.all(Answer)
        assert len(server.requests) == 2
        with pytest.raises(kind):
            await agent.make(llm, [calls.weather()]).run("hi")


@each_agent
@any_wire
async def test_truncated_stream_keeps_its_text(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, SAY) as (_, llm):
        seen = await seen_to_end(agent.make(llm).run_stream("hi"))
        seen.assert_failed(rxagents.ProviderError)
        text = "".join(token.content for token in seen.all(Token))
        assert text
        assert str(SAY.text).startswith(text)


@each_agent
@any_wire
async def test_failed_stream_cancels_the_tools(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    broken = rxagents.ServerError("broken", status=500)
    # With arguments: a call without any waits for a finish reason, since it may have been cut.
    calls = ("held", {"note": "a"}), ("held", {"note": "b"})
    turn = agent.calls(*calls, error=broken, interval=0.03)
    async with served(wire, turn) as (_, llm):
        seen = await seen_to_end(agent.make(llm, [held.tool]).run_stream("hi"))
        seen.assert_failed(rxagents.ProviderError)
        assert seen.all(ToolStart)
        assert not seen.all(ToolEnd)
        assert held.running.is_set()
        await held.cancelled.wait()


# A tool fails: the model sees it, and the run goes on.


@tool
async def breaks() -> str:
    raise RuntimeError("out of paper")


@tool(timeout=0.01)
async def sleeps() -> str:
    await asyncio.Event().wait()
    return ""


@tool
async def wants_a_number(number: int) -> str:
    raise AssertionError("must not run")


@tool(requires_approval=True)
async def dangerous() -> str:
    raise AssertionError("must not run")


@each_agent
@any_wire
@pytest.mark.parametrize(
    ("name", "given", "kind", "words"),
    [
        ("breaks", {}, "RuntimeError", "out of paper"),
        ("sleeps", {}, "ToolTimeoutError", "timeout of 0.01 seconds"),
        ("wants_a_number", {"number": "six"}, "ToolArgumentsError", "number"),
        ("wants_a_number", {}, "ToolArgumentsError", "number"),
        ("unheard_of", {}, "ToolNotFoundError", "breaks, sleeps"),
        ("dangerous", {}, "ToolError", "not approved"),
    ],
    ids=["raises", "times out", "wrong type", "missing argument", "unknown", "not approved"],
)
async def test_tool_error_goes_to_the_model(
    agent: AgentKind,
    wire: SpokenWire,
    name: str,
    given: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    turns = agent.calls((name, given)), agent.answers("I cannot.")
    async with served(wire, *turns) as (server, llm):
        tools = [breaks, sleeps, wants_a_number, dangerous]
        seen = await seen_to_end(agent.make(llm, tools).run_stream("hi"))
        assert seen.error is None
        (end,) = seen.all(ToolEnd)
        assert (end.name, end.error.kind) == (name, kind)
        assert words in end.result
        assert seen.events[-1].content == "I cannot."
        assert words in server.requests[1].body.decode()


@each_agent
@any_wire
async def test_failed_tool_leaves_others_alone(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turn = agent.calls(("breaks", {}), ("weather", {"city": "Rome"}))
    async with served(wire, turn, agent.answers("Done.")) as (_, llm):
        seen = await seen_to_end(agent.make(llm, [breaks, calls.weather()]).run_stream("hi"))
        ends = {end.name: end for end in seen.all(ToolEnd)}
        assert ends["breaks"].error is not None
        assert ends["weather"].error is None
        assert seen.completed
