"""The events that enclose a turn, and the arguments of calls as the model writes them."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import pytest
from agent_runs import AgentKind, Calls, RunSeen, each_agent, seen_to_end, served
from reactivex.testing import TestScheduler
from timed_tools import TimedTools
from wires import WIRES, SpokenWire, any_wire

from rxagents import (
    Complete,
    FunctionAgent,
    MaxIterationsError,
    ServerError,
    StreamEvent,
    ToolArguments,
    ToolCall,
    ToolStart,
    TurnEnd,
    TurnStart,
    Usage,
)
from rxagents.testing import Reply, ScriptedLLM

FIVE, SEVEN = Usage(3, 2, 5), Usage(4, 3, 7)


@each_agent
@any_wire
async def test_turns_are_enclosed(agent: AgentKind, wire: SpokenWire) -> None:
    turns = (
        agent.calls(("weather", {"city": "Oslo"}), usage=FIVE),
        agent.answers("Cold.", usage=SEVEN),
    )
    async with served(wire, *turns) as (_, llm):
        seen = await seen_to_end(agent.make(llm, [Calls().weather()]).run_stream("Oslo?"))
    kinds = [str(event.type) for event in seen.items]
    bounds = [kind for kind in kinds if kind.startswith("turn_") or kind in _MARKS]
    assert bounds == [
        *("turn_start", "tool_start", "tool_end", "turn_end"),
        *("turn_start", "answer", "turn_end", "complete"),
    ]
    assert kinds[0] == "turn_start"
    starts, ends = seen.all(TurnStart), seen.all(TurnEnd)
    assert [start.number for start in starts] == [end.number for end in ends] == [1, 2]
    assert ends[1].finish_reason == "stop"
    assert [(end.usage.input_tokens, end.usage.output_tokens) for end in ends] == [(3, 2), (4, 3)]
    [complete] = seen.all(Complete)
    assert (complete.usage.input_tokens, complete.usage.output_tokens) == (7, 5)


_MARKS = {"tool_start", "tool_end", "answer", "complete"}


@each_agent
@any_wire
async def test_failed_turn_has_no_end(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, Reply("Some text", error=ServerError("no", status=500))) as (_, llm):
        seen = await seen_to_end(agent.make(llm).run_stream("hi"))
    seen.assert_failed(ServerError)
    assert (len(seen.all(TurnStart)), seen.all(TurnEnd)) == (1, [])


@each_agent
async def test_last_turn_ends_before_the_error(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(("weather", {"city": "Oslo"})))
    made = agent.make(llm, [Calls().weather()], max_iterations=1)
    seen = await seen_to_end(made.run_stream("hi"))
    seen.assert_failed(MaxIterationsError)
    assert [str(event.type) for event in seen.items[-2:]] == ["turn_end", "error"]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_arguments_come_as_written(wire: SpokenWire) -> None:
    given = {"city": "Oslo", "note": "a long text of many words " * 5, "days": 3}
    text = json.dumps(given)
    calls = [ToolCall(f"call_{n}", name, text) for n, name in enumerate(("weather", "other"))]
    async with served(wire, Reply("I look.", tool_calls=calls), "Cold.") as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm, [Calls().weather()]).run_stream("Oslo?"))
    pieces = seen.all(ToolArguments)
    for name, group in groupby(pieces, key=lambda event: event.name):
        events = list(group)
        joined = "".join(event.delta for event in events)
        start = next(event for event in seen.all(ToolStart) if event.name == name)
        assert json.loads(joined) == start.arguments == given
        assert {event.call_id for event in events} == {start.call_id}
        assert all(seen.items.index(event) < seen.items.index(start) for event in events)
    assert [name for name, _ in groupby(event.name for event in pieces)] == ["weather", "other"]


async def test_long_argument_comes_in_many_events() -> None:
    given = json.dumps({"city": "Oslo " * 200})
    async with served(WIRES[0], Reply(tool_calls=[ToolCall("c", "weather", given)]), "Ok.") as it:
        seen = await seen_to_end(FunctionAgent(it[1], [Calls().weather()]).run_stream("hi"))
    assert len(seen.all(ToolArguments)) > 10


def test_arguments_come_before_the_tool_starts() -> None:
    scheduler = TestScheduler()
    tools = TimedTools()
    text = '{"x": "' + "y" * 40 + '"}'
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("c", "slow", text)], interval=10), "Done.")
    agent = FunctionAgent(llm, [tools.taking("slow", 50)])
    observer: Any = scheduler.start(lambda: agent.run_stream("hi"), disposed=2000)
    times: dict[type, list[float]] = {}
    for message in observer.messages:
        if message.value.kind == "N":
            times.setdefault(type(message.value.value), []).append(message.time)
    assert len(set(times[ToolArguments])) > 1
    assert max(times[ToolArguments]) <= times[ToolStart][0]


async def test_events_of_a_sub_agents_turns_have_a_path() -> None:
    child = FunctionAgent(ScriptedLLM("Cold."))
    asks = Reply(tool_calls=[ToolCall("c", "expert", '{"task": "Oslo?"}')])
    agent = FunctionAgent(ScriptedLLM(asks, "Cold."), [child.as_tool("expert", "Knows it.")])
    seen: RunSeen = await seen_to_end(agent.run_stream("Oslo?"))
    bounds: list[StreamEvent] = [e for e in seen.items if isinstance(e, TurnStart | TurnEnd)]
    assert [(str(event.type), event.path) for event in bounds] == [
        ("turn_start", ()),
        ("turn_start", ("expert",)),
        ("turn_end", ("expert",)),
        ("turn_end", ()),
        ("turn_start", ()),
        ("turn_end", ()),
    ]
