"""Dispose in every phase of a run: nothing follows; the server and the tools notice."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from agent_runs import (
    AgentKind,
    Calls,
    HeldTool,
    RunSeen,
    each_agent,
    seen_to_end,
    served,
)
from reactivex import operators as rx_ops
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    StreamEvent,
    Token,
    ToolEnd,
    ToolStart,
)
from rxagents import operators as ops
from rxagents.testing import Ending, Reply, ScriptedLLM

STALLED = Reply("Say no more than this", ending=Ending.STALL, cut_after=4)


@each_agent
@any_wire
async def test_dispose_before_the_first_byte(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, Reply("late", delay=60)) as (server, llm):
        seen = RunSeen(agent.make(llm).run_stream("hi"))
        await server.received()
        await seen.assert_silent()
        await server.disconnected()
        assert seen.events == []


@each_agent
@any_wire
async def test_dispose_while_the_model_writes(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, STALLED) as (server, llm):
        seen = RunSeen(agent.make(llm).run_stream("hi"))
        await seen.saw(Token)
        await seen.assert_silent()
        await server.disconnected()


@each_agent
@any_wire
async def test_dispose_while_tools_and_model_run(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    turn = agent.calls(("held", {}), ("held", {}), interval=0.01, ending=Ending.STALL)
    async with served(wire, turn) as (_, llm):
        seen = RunSeen(agent.make(llm, [held.tool]).run_stream("hi"))
        await held.running.wait()
        await seen.assert_silent()
        await held.cancelled.wait()
        assert not seen.all(ToolEnd)


@each_agent
@any_wire
async def test_dispose_while_a_tool_runs(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    async with served(wire, agent.calls(("held", {}))) as (server, llm):
        seen = RunSeen(agent.make(llm, [held.tool]).run_stream("hi"))
        await held.running.wait()
        await seen.assert_silent()
        await held.cancelled.wait()
        assert len(server.requests) == 1


@each_agent
@any_wire
@pytest.mark.parametrize("kind", [Token, ToolStart, ToolEnd, Answer])
async def test_dispose_inside_an_event_is_final(
    agent: AgentKind, wire: SpokenWire, kind: type[StreamEvent]
) -> None:
    calls = Calls()

    def leave(event: StreamEvent) -> None:
        if isinstance(event, kind):
            seen.dispose()
            left.set()

    left = asyncio.Event()
    turns = agent.calls(("weather", {"city": "Oslo"}), text="Hm."), agent.answers("Cold.")
    async with served(wire, *turns) as (server, llm):
        seen = RunSeen(agent.make(llm, [calls.weather()]).run_stream("hi"), leave)
        await left.wait()
        assert isinstance(seen.events[-1], kind)
        await seen.assert_silent()
        assert len(server.requests) == (2 if kind is Answer else 1)
        assert len(calls.made) == (0 if kind in {Token, ToolStart} else 1)


@each_agent
@any_wire
async def test_dispose_from_another_thread(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    async with served(wire, agent.calls(("held", {}))) as (_, llm):
        seen = RunSeen(agent.make(llm, [held.tool]).run_stream("hi"))
        await held.running.wait()
        await asyncio.to_thread(seen.dispose)
        await held.cancelled.wait()
        await seen.assert_silent()


@each_agent
async def test_dispose_is_idempotent(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.answers("Cold."))
    early = RunSeen(agent.make(llm).run_stream("hi"))
    early.dispose()
    await early.assert_silent()
    assert llm.requests == []
    seen = await seen_to_end(agent.make(llm).run_stream("hi"))
    count = len(seen.events)
    seen.dispose()
    seen.dispose()
    assert (len(seen.events), seen.completed) == (count, True)


@each_agent
@any_wire
async def test_take_ends_the_run(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()

    async def running(start: ToolStart) -> ToolStart:
        await held.running.wait()
        return start

    async with served(wire, agent.calls(("held", {}), ("held", {}))) as (_, llm):
        run = agent.make(llm, [held.tool]).run_stream("hi")
        starts = run.pipe(ops.of_type(ToolStart), ops.map_async(running), rx_ops.take(1))
        async with rxagents.to_aiter(starts) as events:
            assert [event.name async for event in events] == ["held"]
        await held.cancelled.wait()


@each_agent
async def test_task_cancellation_cancels_the_tool(agent: AgentKind) -> None:
    held = HeldTool()
    llm = ScriptedLLM(agent.calls(("held", {})))
    task = asyncio.create_task(agent.make(llm, [held.tool]).run("hi"))
    await held.running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.cancelled.is_set()


@each_agent
@pytest.mark.parametrize("disposed", [False, True], ids=["ended", "disposed"])
async def test_finished_run_is_collected(agent: AgentKind, disposed: bool) -> None:
    held = HeldTool()
    llm = Remembering(agent.calls(("held", {})), agent.answers("Done."))
    seen = RunSeen(agent.make(llm, [held.tool]).run_stream("hi"))
    await held.running.wait()
    if disposed:
        seen.dispose()
        await held.cancelled.wait()
    else:
        held.release.set()
        await seen.over.wait()
    await asyncio.sleep(0)
    events, seen = seen.events, None  # type: ignore[assignment]  # drop the reference
    gc.collect()
    assert events
    assert [reference() for reference in llm.streams] == [None] * len(llm.streams)


class Remembering(ScriptedLLM):
    """Holds weak references to its streams, which belong to runs."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__(*replies)
        self.streams: list[weakref.ref[Any]] = []

    def chat_stream(self, *args: Any, **settings: Any) -> Any:
        stream = super().chat_stream(*args, **settings)
        self.streams.append(weakref.ref(stream))
        return stream


@each_agent
@any_wire
async def test_leaving_to_aiter_ends_the_tool(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    async with served(wire, agent.calls(("held", {}))) as (_, llm):
        run = agent.make(llm, [held.tool]).run_stream("hi")
        async with rxagents.to_aiter(run) as events:
            async for event in events:
                if isinstance(event, ToolStart):
                    await held.running.wait()
                    break
        assert held.cancelled.is_set()


@each_agent
@any_wire
async def test_slow_reader_reads_the_whole_run(agent: AgentKind, wire: SpokenWire) -> None:
    text = "word " * 200 + "end"
    calls = Calls()
    turns = agent.calls(("weather", {"city": "Oslo"})), agent.answers(text)
    async with served(wire, *turns) as (_, llm):
        run = agent.make(llm, [calls.weather()]).run_stream("hi")
        async with rxagents.to_aiter(run, capacity=2) as reading:
            events: list[StreamEvent] = []
            async for event in reading:
                events.append(event)
                await asyncio.sleep(0)
    assert isinstance(events[-1], Complete)
    assert events[-1].content == text
    texts = [e.content for e in events if isinstance(e, Token) and e.section != "thought"]
    assert "".join(texts).endswith(text)
