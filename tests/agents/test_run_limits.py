"""The limits of both agents' runs, on every wire."""

from __future__ import annotations

import asyncio

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
from rxagents import ToolStart
from rxagents.testing import Ending, Reply

# Limits.


@each_agent
@any_wire
async def test_iteration_limit_fails_the_run(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    again = agent.calls(("weather", {"city": "Oslo"}))
    async with served(wire, again) as (server, llm):
        made = agent.make(llm, [calls.weather()], max_iterations=3)
        seen = await seen_to_end(made.run_stream("hi"))
        seen.assert_failed(rxagents.MaxIterationsError)
        assert len(server.requests) == len(calls.made) == 3
        with pytest.raises(rxagents.MaxIterationsError, match="max_iterations"):
            await made.run("hi")


@each_agent
@any_wire
async def test_call_over_the_limit_never_runs(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    one = agent.calls(("weather", {"city": "Oslo"}))
    two = agent.calls(("weather", {"city": "Rome"}), ("weather", {"city": "Bonn"}))
    async with served(wire, one, two) as (_, llm):
        made = agent.make(llm, [calls.weather()], max_tool_calls=2, tool_concurrency=1)
        seen = await seen_to_end(made.run_stream("hi"))
        seen.assert_failed(rxagents.RunLimitError)
        assert "max_tool_calls" in str(seen.error)
        assert {given["city"] for _, given in calls.made} <= {"Oslo", "Rome"}
        assert len(seen.all(ToolStart)) == 2


@each_agent
@any_wire
async def test_calls_up_to_the_limit_run(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    two = agent.calls(("weather", {"city": "Rome"}), ("weather", {"city": "Bonn"}))
    async with served(wire, two, agent.answers("Cold.")) as (_, llm):
        made = agent.make(llm, [calls.weather()], max_tool_calls=2)
        assert (await made.run("hi")).output == "Cold."


@each_agent
@any_wire
async def test_token_limit_is_checked_between_turns(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turn = agent.calls(("weather", {"city": "Oslo"}), usage=rxagents.Usage(60, 40, 100))
    async with served(wire, turn) as (server, llm):
        made = agent.make(llm, [calls.weather()], max_total_tokens=200)
        seen = await seen_to_end(made.run_stream("hi"))
        seen.assert_failed(rxagents.RunLimitError)
        assert "max_total_tokens" in str(seen.error)
        assert len(server.requests) == 2


@each_agent
@any_wire
async def test_answer_over_token_limit_is_kept(agent: AgentKind, wire: SpokenWire) -> None:
    usage = rxagents.Usage(60, 40, 100)
    async with served(wire, agent.answers("Cold.", usage=usage)) as (_, llm):
        assert (await agent.make(llm, max_total_tokens=1).run("hi")).output == "Cold."


@each_agent
@any_wire
@pytest.mark.parametrize("where", ["waiting", "streaming", "in a tool"])
async def test_time_limit_ends_any_phase(agent: AgentKind, wire: SpokenWire, where: str) -> None:
    held = HeldTool()
    turn = {
        "waiting": Reply("late", delay=60),
        "streaming": Reply("Say on and on", ending=Ending.STALL, cut_after=4),
        "in a tool": agent.calls(("held", {})),
    }[where]
    async with served(wire, turn) as (server, llm):
        made = agent.make(llm, [held.tool], max_seconds=0.25)
        seen = await seen_to_end(made.run_stream("hi"))
        seen.assert_failed(rxagents.RunLimitError)
        assert "max_seconds" in str(seen.error)
        if where == "in a tool":
            await held.cancelled.wait()
        else:
            await server.disconnected()


@each_agent
@any_wire
async def test_finished_run_leaves_no_timer(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.answers("Cold.")) as (_, llm):
        made = agent.make(
            llm, max_seconds=1e6, max_total_tokens=10, max_tool_calls=1, max_iterations=1
        )
        assert (await made.run("hi")).output == "Cold."
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # asyncio's own
        late = asyncio.get_running_loop().time() + 1e5
        assert not [t for t in timers if t.when() > late and not t.cancelled()]
