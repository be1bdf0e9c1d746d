"""Successful runs of both agents, on every wire."""

from __future__ import annotations

import asyncio
from typing import Any, Unpack

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
from reactivex import Observable
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    Reset,
    StreamChunk,
    StreamEvent,
    ToolCall,
    ToolEnd,
    ToolStart,
    tool,
)
from rxagents import operators as ops
from rxagents.core.protocols import Messages
from rxagents.core.settings import SettingsArguments
from rxagents.testing import ScriptedLLM

OSLO = ("weather", {"city": "Oslo"})
ROME = ("weather", {"city": "Rome", "days": 2})


@each_agent
@any_wire
async def test_tool_result_leads_to_the_answer(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turns = agent.calls(OSLO), agent.answers("It is cold.")
    async with served(wire, *turns) as (server, llm):
        seen = await seen_to_end(agent.make(llm, [calls.weather()]).run_stream("Oslo?"))
        assert (seen.error, seen.completed) == (None, True)
        assert calls.made == [("weather", {"city": "Oslo", "days": 1})]
        start, end = *seen.all(ToolStart), *seen.all(ToolEnd)
        assert (start.name, start.arguments) == OSLO
        assert (end.call_id, end.name) == (start.call_id, "weather")
        assert (end.result, end.error) == ("Oslo is cold", None)
        assert end.duration >= 0
        assert [answer.content for answer in seen.all(Answer)] == ["It is cold."]
        last = seen.events[-1]
        assert isinstance(last, Complete)
        assert (last.content, last.iterations) == ("It is cold.", 2)
        assert "Oslo is cold" in server.requests[1].body.decode()
        assert "Oslo?" in server.requests[1].body.decode()


@each_agent
@any_wire
async def test_parallel_results_keep_call_order(agent: AgentKind, wire: SpokenWire) -> None:
    second = asyncio.Event()

    @tool
    async def first_of_two() -> str:
        await second.wait()
        return "the result of the first"

    @tool
    async def second_of_two() -> str:
        second.set()
        return "the result of the second"

    turns = agent.calls(("first_of_two", {}), ("second_of_two", {})), agent.answers("Done.")
    async with served(wire, *turns) as (server, llm):
        made = agent.make(llm, [first_of_two, second_of_two])
        seen = await seen_to_end(made.run_stream("hi"))
        assert [start.name for start in seen.all(ToolStart)] == [
            "first_of_two",
            "second_of_two",
        ]
        assert [end.name for end in seen.all(ToolEnd)] == ["second_of_two", "first_of_two"]
        body = server.requests[1].body.decode()
        assert 0 < body.index("the result of the first") < body.index("of the second")
        assert seen.completed


@each_agent
@any_wire
@pytest.mark.parametrize("limit", [1, 2])
async def test_tool_concurrency_is_limited(agent: AgentKind, wire: SpokenWire, limit: int) -> None:
    running: list[int] = [0, 0]

    @tool
    async def work(number: int) -> str:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.005)
        running[0] -= 1
        return str(number)

    turn = agent.calls(*(("work", {"number": n}) for n in range(5)))
    async with served(wire, turn, agent.answers("Done.")) as (_, llm):
        made = agent.make(llm, [work], tool_concurrency=limit)
        seen = await seen_to_end(made.run_stream("hi"))
        assert [end.result for end in seen.all(ToolEnd)] == list("01234")
        assert running[1] == limit


@each_agent
@any_wire
@pytest.mark.parametrize("start", ["at_once", "turn_end"])
async def test_call_starts_at_once_or_later(agent: AgentKind, wire: SpokenWire, start: str) -> None:
    held = HeldTool()
    turn = agent.calls(("held", {}), ("held", {}), interval=0.02)
    async with served(wire, turn, agent.answers("Done.")) as (_, llm):
        stream_over: list[bool] = []

        def note(event: StreamEvent) -> None:
            if isinstance(event, ToolStart):
                stream_over.append(turn_is_over.is_set())

        turn_is_over = asyncio.Event()
        watched = Watched(llm, turn_is_over)
        made = agent.make(watched, [held.tool], start_tools=start)
        seen = RunSeen(made.run_stream("hi"), note)
        await seen.saw(ToolStart, 2)
        held.release.set()
        await seen.over.wait()
        assert seen.completed
        assert stream_over[0] is (start == "turn_end")


class Watched:
    """A model that records when its first stream has ended."""

    def __init__(self, llm: Any, over: asyncio.Event) -> None:
        self._llm = llm
        self._over = over

    def chat_stream(self, *args: Any, **settings: Any) -> Observable[StreamChunk]:
        stream: Observable[StreamChunk] = self._llm.chat_stream(*args, **settings)
        return stream.pipe(ops.tap_safely(on_completed=self._over.set))


@each_agent
@any_wire
async def test_many_turns_make_valid_requests(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turns = agent.calls(OSLO), agent.calls(ROME, OSLO), agent.answers("Both are cold.")
    async with served(wire, *turns) as (server, llm):
        result = await agent.make(llm, [calls.weather()]).run("Oslo and Rome?")
        assert (result.output, result.iterations) == ("Both are cold.", 3)
        assert [given["city"] for _, given in calls.made] == ["Oslo", "Rome", "Oslo"]
        assert len({request.client_port for request in server.requests}) == 1
        sizes = [len(request.body) for request in server.requests]
        assert sizes == sorted(set(sizes))


@each_agent
@any_wire
async def test_approved_tool_runs(agent: AgentKind, wire: SpokenWire) -> None:
    asked: list[ToolCall] = []

    async def approve(call: ToolCall) -> bool:
        asked.append(call)
        return bool(call.parse()["path"] != "/")

    @tool(requires_approval=True)
    async def delete(path: str) -> str:
        deleted.append(path)
        return "deleted"

    deleted: list[str] = []
    turn = agent.calls(("delete", {"path": "/"}), ("delete", {"path": "/tmp/x"}))
    async with served(wire, turn, agent.answers("Done.")) as (server, llm):
        seen = await seen_to_end(agent.make(llm, [delete], approve=approve).run_stream("hi"))
        assert seen.completed
        assert (len(asked), deleted) == (2, ["/tmp/x"])
        assert "was not approved" in server.requests[1].body.decode()


@each_agent
@any_wire
async def test_agent_may_be_a_tool(agent: AgentKind, wire: SpokenWire) -> None:
    helper = agent.make(ScriptedLLM(agent.answers("It snows.")))

    @tool
    async def ask(question: str) -> str:
        return str((await helper.run(question)).output)

    turns = agent.calls(("ask", {"question": "Oslo?"})), agent.answers("Snow.")
    async with served(wire, *turns) as (server, llm):
        assert (await agent.make(llm, [ask]).run("hi")).output == "Snow."
        assert "It snows." in server.requests[1].body.decode()


class Retrying:
    """A model that starts a truncated answer again."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm

    def chat_stream(
        self,
        messages: Messages,
        tools: Any = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        stream: Observable[StreamChunk] = self._llm.chat_stream(messages, tools, **settings)
        return stream.pipe(ops.retry_with_backoff(on_reset=StreamChunk.reset, first_wait=0))


@each_agent
@any_wire
async def test_restarted_turn_counts_once(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    held = HeldTool()
    error = rxagents.ServerError("oh", status=500)
    # With arguments: a call without any waits for a finish reason, since it may have been cut.
    old = ("held", {"note": "a"}), ("held", {"note": "b"})
    broken = agent.calls(*old, text="Old.", interval=0.03, error=error)
    turns = broken, agent.calls(OSLO, text="New."), agent.answers("Cold.")
    async with served(wire, *turns) as (server, llm):
        tools = [calls.weather(), held.tool]
        made = agent.make(Retrying(llm), tools)
        seen = await seen_to_end(made.run_stream("hi"))
        assert (seen.error, seen.completed) == (None, True)
        (reset,) = seen.all(Reset)
        assert "oh" in reset.error.message
        assert [end.name for end in seen.all(ToolEnd)] == ["weather"]
        assert held.cancelled.is_set()
        last = server.requests[2].body.decode()
        assert "New." in last
        assert "Old." not in last
        assert "held_" not in last
        assert seen.events[-1].content == "Cold."
        assert isinstance(seen.events[-1], Complete)
        assert seen.events[-1].iterations == 2
