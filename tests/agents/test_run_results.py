"""The result, the usage and the event types of a run of either agent, on every wire."""

from __future__ import annotations

import time

import msgspec
from agent_runs import (
    AgentKind,
    Calls,
    each_agent,
    seen_to_end,
    served,
)
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Complete,
    StreamEvent,
    Thought,
    Token,
    Usage,
)

OSLO = ("weather", {"city": "Oslo"})


@each_agent
@any_wire
async def test_usage_is_summed_over_turns(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    first = agent.calls(OSLO, usage=Usage(5, 6, 11))
    second = agent.answers("Cold.", usage=Usage(7, 8, 15))
    async with served(wire, first, second) as (_, llm):
        seen = await seen_to_end(agent.make(llm, [calls.weather()]).run_stream("hi"))
        last = seen.events[-1]
        assert isinstance(last, Complete)
        assert last.usage is not None
        assert (last.usage.input_tokens, last.usage.output_tokens) == (12, 14)
        assert last.usage.total_tokens in {26, None}


@each_agent
@any_wire
async def test_missing_usage_is_none(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.answers("Cold.")) as (_, llm):
        usage = (await agent.make(llm).run("hi")).usage
        assert usage is None or usage.output_tokens is None


@each_agent
@any_wire
async def test_run_equals_folded_run_stream(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    usage = Usage(5, 6, 11)
    turns = agent.calls(OSLO, usage=usage), agent.answers("Cold.", usage=usage)
    async with served(wire, *turns, *turns) as (_, llm):
        made = agent.make(llm, [calls.weather()])
        last = (await seen_to_end(made.run_stream("hi"))).events[-1]
        result = await made.run("hi")
        assert isinstance(last, Complete)
        assert last.content == result.output == "Cold."
        assert last.usage == result.usage
        assert last.iterations == result.iterations == 2
        assert last.finish_reason == result.finish_reason == "stop"
        assert "Cold." in result.messages[-1].text


@each_agent
@any_wire
async def test_events_survive_a_round_trip(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    before = time.time()
    turns = agent.calls(OSLO, usage=Usage(1, 2, 3)), agent.answers("Cold.")
    async with served(wire, *turns) as (_, llm):
        seen = await seen_to_end(agent.make(llm, [calls.weather()]).run_stream("hi"))
    for event in seen.events:
        assert before <= event.timestamp <= time.time()
        assert msgspec.json.decode(msgspec.json.encode(event), type=StreamEvent) == event
        packed = msgspec.msgpack.encode(event)
        assert msgspec.msgpack.decode(packed, type=StreamEvent) == event


@each_agent
@any_wire
async def test_reasoning_has_its_own_event(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.answers("Cold.", reasoning="It is winter.")) as (_, llm):
        seen = await seen_to_end(agent.make(llm).run_stream("hi"))
        thinking = "".join(event.content for event in seen.all(rxagents.Reasoning))
        assert thinking == "It is winter."
        assert seen.events[-1].content == "Cold."
        assert "winter" not in "".join(token.content for token in seen.all(Token))


@each_agent
@any_wire
async def test_no_text_is_made_up(agent: AgentKind, wire: SpokenWire) -> None:
    """The Go original emitted the literal "Thinking…"."""
    calls = Calls()
    replies = agent.calls(OSLO), agent.answers("Cold.")
    written = "".join(str(reply.text) for reply in replies)
    async with served(wire, *replies) as (_, llm):
        seen = await seen_to_end(agent.make(llm, [calls.weather()]).run_stream("hi"))
        for event in (*seen.all(Token), *seen.all(Thought)):
            assert event.content in written
            assert "Thinking" not in event.content
