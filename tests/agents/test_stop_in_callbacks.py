"""Stop and steer a run inside the callbacks of its subscribers, at every kind of event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from agent_runs import AgentKind, HeldTool, each_agent, served
from observing import Seen
from wires import SpokenWire, any_wire

from rxagents import (
    Complete,
    FunctionAgent,
    StreamEvent,
    ToolCall,
    ToolEnd,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.testing import Ending, NoReply, Reply, ScriptedLLM

EVENTS = (TurnStart, ToolStart, ToolEnd, TurnEnd)


def once(kind: type, action: Callable[[], object]) -> Callable[[StreamEvent], None]:
    """Return a subscriber that acts at the first event of a kind."""
    has_acted = False

    def on_next(event: StreamEvent) -> None:
        nonlocal has_acted
        if isinstance(event, kind) and not has_acted:
            has_acted = True
            action()

    return on_next


@each_agent
@any_wire
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
async def test_stop_at_an_event_ends_the_run(
    kind: type, agent: AgentKind, wire: SpokenWire
) -> None:
    held = HeldTool()
    held.release.set()
    turns = agent.calls(("held", {})), NoReply(Ending.STALL)
    async with served(wire, *turns) as (server, llm):
        run = agent.make(llm, [held.tool]).start("hi")
        seen = Seen(run.events, once(kind, run.stop))
        result = await asyncio.wait_for(run.result, 1)
        await seen.over.wait()
        assert (result.finish_reason, result.iterations) == ("cancelled", 1)
        assert len(server.requests) == (0 if kind is TurnStart else 1)
        assert [event.number for event in seen.all(TurnStart)] == [1]
        assert [event.number for event in seen.all(TurnEnd)] == [1]
        assert type(seen.items[-1]) is Complete


@each_agent
@any_wire
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
async def test_steer_now_at_an_event_starts_the_next_turn(
    kind: type, agent: AgentKind, wire: SpokenWire
) -> None:
    held = HeldTool()
    held.release.set()
    first = agent.calls(("held", {}))
    second = agent.answers("Wet.")
    turns = (second,) if kind is TurnStart else (first, second)
    async with served(wire, *turns) as (server, llm):
        run = agent.make(llm, [held.tool]).start("hi")
        seen = Seen(run.events, once(kind, lambda: run.steer("Bergen", now=True)))
        result = await run.result
        await seen.over.wait()
        assert (result.output, result.iterations) == ("Wet.", 2)
        assert len(server.requests) == len(turns)
        assert b"Bergen" in server.requests[-1].body
        assert len(seen.all(TurnStart)) == len(seen.all(TurnEnd)) == 2


async def test_turn_without_a_request_has_no_usage() -> None:
    run = FunctionAgent(ScriptedLLM("never")).start("hi")
    seen = Seen(run.events, once(TurnStart, run.stop))
    result = await run.result
    await seen.over.wait()
    assert (result.usage, result.estimated_usage) == (None, None)
    assert seen.all(TurnEnd)[0].usage is None


async def test_steer_at_the_end_of_a_turn_reaches_the_next_one() -> None:
    held = HeldTool()
    held.release.set()
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("call_1", "held", "{}")]), "Wet.")
    run = FunctionAgent(llm, [held.tool], max_iterations=2).start("hi")
    seen = Seen(run.events, once(TurnEnd, lambda: run.steer("Bergen")))
    assert (await run.result).output == "Wet."
    await seen.over.wait()
    assert [message.text for message in llm.requests[1].messages][-1] == "Bergen"
