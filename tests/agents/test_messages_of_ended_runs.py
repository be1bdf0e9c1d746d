"""The messages of runs that were ended early: what they say, and that providers accept them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agent_runs import AgentKind, Calls, HeldTool, each_agent, served
from msgspec import Struct
from observing import Seen
from reactivex import Observable
from remembering import conversation_in
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    ApprovalRequest,
    Complete,
    Conversation,
    ConversationalAgent,
    FunctionAgent,
    Message,
    OutputError,
    StreamEvent,
    Token,
    ToolCall,
)
from rxagents.agents.partial import UNFINISHED, is_partial
from rxagents.testing import Reply, ScriptedLLM

CUT = Reply(
    "I look.",
    tool_calls=[
        ToolCall("call_1", "weather", '{"city":"Oslo"}'),
        ToolCall("call_2", "weather", '{"city":"Rome"}'),
    ],
    finish_reason="length",
)
"""On most wires nothing seals the last call of a response that was cut."""


@any_wire
async def test_messages_of_a_cut_turn_can_be_sent_again(wire: SpokenWire) -> None:
    calls = Calls()
    async with served(wire, CUT, "Cold.") as (_, llm):
        agent = FunctionAgent(llm, [calls.weather()], max_iterations=1)
        with pytest.raises(rxagents.AgentError) as failed:
            await agent.run("Oslo?")
        ended = [message for message in failed.value.messages if message.role == "tool"]
        assert len(ended) == len(calls.made)
        result = await agent.run([*failed.value.messages, Message.user("Go on.")])
        assert result.output == "Cold."


async def test_call_that_ran_in_a_cut_turn_is_remembered() -> None:
    calls = Calls()
    agent = ConversationalAgent(ScriptedLLM(CUT, "Cold."), [calls.weather()])
    with pytest.raises(OutputError, match="ended inside its call"):
        await agent.run("Oslo?")
    assert len(calls.made) == 1
    [exchange] = conversation_in(agent.memory).exchanges
    assert [message.role for message in exchange] == ["user", "assistant", "tool"]
    assert [call.id for call in exchange[1].tool_calls] == ["call_1"]
    assert is_partial(exchange[1])


async def test_text_of_a_cut_turn_is_in_the_error_only() -> None:
    llm = ScriptedLLM(Reply("I look.", tool_calls=CUT.tool_calls[:1], finish_reason="length"))
    agent = ConversationalAgent(llm, [Calls().weather()])
    with pytest.raises(OutputError) as failed:
        await agent.run("Oslo?")
    assert [message.text for message in failed.value.messages] == ["Oslo?", "I look."]
    assert not failed.value.messages[-1].tool_calls
    assert not conversation_in(agent.memory).exchanges


@each_agent
async def test_call_that_waits_for_approval_did_not_run(agent: AgentKind) -> None:
    held = HeldTool()
    guarded = rxagents.tool(lambda: "x", name="guarded", requires_approval=True)

    async def never(_: ToolCall) -> bool:
        await asyncio.Event().wait()
        return True

    llm = ScriptedLLM(agent.calls(("held", {}), ("guarded", {})))
    run = agent.make(llm, [held.tool, guarded], approve=never).start("hi")
    seen = Seen(run.events)
    await seen.saw(ApprovalRequest)
    await held.running.wait()
    run.stop()
    text = str((await run.result).messages)
    assert text.count(UNFINISHED) == 1
    assert text.count("did not run: the run was stopped before its tool started") == 1


class Answered(Struct):
    number: int


@each_agent
async def test_refused_text_of_a_last_turn_is_in_the_error(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(("quick", {})), agent.answers("I do not know."))
    quick = rxagents.tool(lambda: "quick result", name="quick")
    options: Any = {"max_iterations": 1, "at_limit": "answer", "output_type": Answered}
    with pytest.raises(OutputError) as failed:
        await agent.make(llm, [quick], **options).run("How many?")
    last = failed.value.messages[-1]
    assert last.text.endswith("I do not know.")
    assert is_partial(last)


async def test_call_in_a_typed_last_turn_names_the_limit() -> None:
    called = Reply(tool_calls=[ToolCall("call_1", "quick", "{}")])
    quick = rxagents.tool(lambda: "quick result", name="quick")
    options: Any = {"max_iterations": 1, "at_limit": "answer", "output_type": Answered}
    with pytest.raises(OutputError, match=r"called tools in the last turn.*Raise max_iterations"):
        await FunctionAgent(ScriptedLLM(called), [quick], **options).run("How many?")


class Slow:
    """A user's own agent, which takes long between its answer and its `Complete`."""

    def run_stream(self, _: Any, /) -> Observable[StreamEvent]:
        async def events() -> AsyncIterator[StreamEvent]:
            yield Token("Wet.")
            yield Answer("Wet.")
            await asyncio.sleep(100)
            yield Complete("Wet.", iterations=3)

        return rxagents.from_aiter(events)


async def test_answer_of_own_agent_is_kept_when_stopped() -> None:
    conversation = Conversation(Slow(), on_stop="keep")
    run = conversation.start("Oslo?")
    seen = Seen(run.events)
    await seen.saw(Answer)
    run.stop()
    result = await run.result
    assert (result.output, result.finish_reason) == ("Wet.", "cancelled")
    assert [message.text for message in result.messages] == ["Oslo?", "Wet."]
    [exchange] = conversation_in(conversation.memory).exchanges
    assert exchange == result.messages


async def test_steered_own_agent_keeps_its_answer_and_counts() -> None:
    conversation = Conversation(Slow())
    run = conversation.start("Oslo?")
    seen = Seen(run.events)
    await seen.saw(Answer)
    assert run.steer("And Bergen?")
    await seen.saw(Answer, 2)
    assert run.steer("And Rome?", now=True)
    result = await run.result
    texts = [message.text for message in result.messages]
    assert texts == ["Oslo?", "Wet.", "And Bergen?", "Wet.", "And Rome?", "Wet."]
    assert (result.finish_reason, result.iterations) == ("", 6)
