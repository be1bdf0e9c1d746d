"""Agents and finish reasons: an answer, another turn, or a failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from agent_runs import AgentKind, Calls, each_agent, seen_to_end, served
from remembering import conversation_in
from wires import WIRES, SpokenWire, any_wire_of

import rxagents
from rxagents import (
    Answer,
    Anthropic,
    ConversationalAgent,
    FunctionAgent,
    MaxIterationsError,
    Memory,
    OutputError,
    ReActAgent,
    ToolCall,
    Usage,
)
from rxagents.testing import RawReply, Reply, ScriptedLLM, ScriptedServer


@each_agent
@any_wire_of("chat completions", "anthropic", "gemini", "ollama")  # Responses has a status instead
@pytest.mark.parametrize("reason", ["error", "load", "MALFORMED_FUNCTION_CALL", "some_new_word"])
async def test_unknown_finish_reason_fails_the_run(
    agent: AgentKind, wire: SpokenWire, reason: str
) -> None:
    async with served(wire, agent.answers("Let me", finish_reason=reason)) as (_, llm):
        seen = await seen_to_end(agent.make(llm).run_stream("hi"))
        seen.assert_failed(OutputError)
        assert repr(reason) in str(seen.error)
        assert not seen.all(Answer)


@each_agent
@pytest.mark.parametrize("reason", ["eos", "COMPLETE", "end_turn", "stop_sequence", "length"])
async def test_other_words_for_success_are_answers(agent: AgentKind, reason: str) -> None:
    llm = ScriptedLLM(agent.answers("Cold.", finish_reason=reason))
    result = await agent.make(llm).run("hi")
    assert (result.output, result.finish_reason) == ("Cold.", reason)


@each_agent
async def test_failed_turn_after_tools_fails_the_run(agent: AgentKind) -> None:
    calls = Calls()
    first = agent.calls(("weather", {"city": "Oslo"}), finish_reason="error")
    with pytest.raises(OutputError, match="'error'"):
        await agent.make(ScriptedLLM(first, agent.answers("Cold.")), [calls.weather()]).run("hi")


async def test_failed_run_is_not_remembered() -> None:
    agent = ConversationalAgent(ScriptedLLM(Reply("Let me", finish_reason="error")))
    with pytest.raises(OutputError):
        await agent.run("hi")
    assert not conversation_in(agent.memory).exchanges


# A paused turn.

SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}}


def paused(text: str) -> RawReply:
    """Return a response of Anthropic's API that pauses while a hosted tool runs."""

    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 5}}}
        yield {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": text},
        }
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "content_block_start", "index": 1, "content_block": SEARCH}
        yield {"type": "content_block_stop", "index": 1}
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": "pause_turn"},
            "usage": {"output_tokens": 2},
        }
        yield {"type": "message_stop"}

    return RawReply([f"data: {json.dumps(event)}\n\n".encode() for event in events()])


def anthropic(server: ScriptedServer) -> Anthropic:
    return Anthropic("any", api_key="any", base_url=server.url)


@each_agent
async def test_paused_turn_goes_on(agent: AgentKind) -> None:
    answer = agent.answers("Cold.", usage=Usage(7, 3))
    async with (
        ScriptedServer(paused("Thought: search"), answer) as server,
        anthropic(server) as llm,
    ):
        result = await agent.make(llm).run("hi")
        assert (result.output, result.iterations) == ("Cold.", 2)
        assert result.usage is not None
        assert (result.usage.input_tokens, result.usage.output_tokens) == (12, 5)
        sent = json.loads(server.requests[1].body)["messages"]
        assert [message["role"] for message in sent] == ["user", "assistant"]
        assert sent[1]["content"] == [{"type": "text", "text": "Thought: search"}, SEARCH]


@each_agent
async def test_pauses_count_as_iterations(agent: AgentKind) -> None:
    async with ScriptedServer(paused("Thought: hm")) as server, anthropic(server) as llm:
        with pytest.raises(MaxIterationsError):
            await agent.make(llm, max_iterations=3).run("hi")
        assert len(server.requests) == 3


async def test_paused_react_answer_fails_the_run() -> None:
    async with ScriptedServer(paused("Answer: half an")) as server, anthropic(server) as llm:
        seen = await seen_to_end(ReActAgent(llm).run_stream("hi"))
        seen.assert_failed(OutputError)
        assert not seen.all(Answer)


# Memory.


@pytest.mark.parametrize("reason", ["length", "error", "max_tokens"])
async def test_cut_summary_replaces_nothing(reason: str) -> None:
    class Model(ScriptedLLM):
        summary = Reply("half a summ", finish_reason=reason)

        def chat_stream(self, messages: Any, *given: Any, **settings: Any) -> Any:
            is_summary = messages[0].role == "system"
            reply = self.summary if is_summary else Reply("Yes.")
            return ScriptedLLM(reply).chat_stream(messages, *given, **settings)

    memory = Memory("summarize", max_messages=2)
    agent = ConversationalAgent(Model(""), memory=memory)
    await agent.run("one")
    await agent.run("two")
    before = conversation_in(memory)
    with pytest.raises(OutputError, match=f"11 characters, finish reason {reason!r}"):
        await agent.run("three")
    assert conversation_in(memory) == before
    Model.summary = Reply("a whole summary")
    await agent.run("three")
    assert conversation_in(memory).summary == "a whole summary"


ASKS_WEATHER = Reply(tool_calls=[ToolCall("call_1", "weather", '{"city":"Oslo"}')])


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_model_is_asked_for_its_answer(wire: SpokenWire) -> None:
    calls = Calls()
    async with served(wire, ASKS_WEATHER, Reply(" \n"), "Cold.") as (server, llm):
        result = await FunctionAgent(llm, [calls.weather()]).run("Oslo?")
        assert (result.output, result.iterations) == ("Cold.", 3)
        assert "Write your answer now" in server.requests[2].body.decode()


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_tools_of_a_run_without_text_are_remembered(wire: SpokenWire) -> None:
    calls = Calls()
    async with served(wire, ASKS_WEATHER, Reply(""), Reply(""), "Cold.") as (server, llm):
        agent = ConversationalAgent(llm, [calls.weather()])
        with pytest.raises(OutputError, match="no answer after its 1 tool calls, also when"):
            await agent.run("Oslo?")
        assert (await agent.run("And?")).output == "Cold."
        assert "Oslo is cold" in server.requests[3].body.decode()


async def test_model_is_asked_in_each_run() -> None:
    calls = Calls()
    turns = [ASKS_WEATHER, Reply(""), Reply("Cold.")]
    agent = ConversationalAgent(ScriptedLLM(*turns, *turns), [calls.weather()])
    assert (await agent.run("Oslo?")).output == "Cold."
    assert (await agent.run("Again?")).output == "Cold."


async def test_empty_last_turn_is_no_success() -> None:
    calls = Calls()
    agent = FunctionAgent(ScriptedLLM(ASKS_WEATHER, Reply("")), [calls.weather()], max_iterations=2)
    with pytest.raises(OutputError, match="in the last turn"):
        await agent.run("Oslo?")


async def test_calls_before_a_cut_one_are_remembered() -> None:
    calls = Calls()
    cut = Reply(tool_calls=[ToolCall("call_2", "weather", '{"city":"Ro')], finish_reason="length")
    llm = ScriptedLLM(ASKS_WEATHER, cut, "Cold.")
    agent = ConversationalAgent(llm, [calls.weather()])
    with pytest.raises(OutputError, match="ended inside its call"):
        await agent.run("Oslo?")
    (exchange,) = conversation_in(agent.memory).exchanges
    assert [message.role for message in exchange] == ["user", "assistant", "tool"]


async def test_empty_answer_without_tools_is_not_remembered() -> None:
    agent = rxagents.Conversation(FunctionAgent(ScriptedLLM(Reply(""))))
    await agent.run("hi")
    assert not conversation_in(agent.memory).exchanges
