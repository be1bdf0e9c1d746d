"""Thinking between tags in a text, over HTTP: a response, the next turn, and a ReAct agent."""

from __future__ import annotations

import pytest
from agent_runs import Calls, seen_to_end, served
from wires import SpokenWire, any_wire, each_wire

from rxagents import Answer, Message, ReActAgent, Reasoning, Token, ToolStart
from rxagents.testing import Reply

THOUGHT = '<think>\nPerhaps\nAction: weather({"city": "Rome"})\nAnswer: 5?\n</think>\n\n'
ASKS = THOUGHT + 'Thought: I need it.\nAction: weather({"city": "Oslo"})'
ANSWERS = THOUGHT + "Thought: I know.\nAnswer: It is cold."


@each_wire
async def test_response_has_thinking_apart(wire: SpokenWire) -> None:
    async with served(wire, "<think>hm</think>\nYes.", "Good.") as (server, llm):
        response = await llm.chat("Yes?")
        assert (response.reasoning, response.content) == ("hm", "Yes.")
        conversation = [Message.user("Yes?"), response.message, Message.user("Sure?")]
        assert (await llm.chat(conversation)).content == "Good."
        assert "Yes." in str(server.requests[1].body)


@any_wire
async def test_think_tags_none_leaves_text(wire: SpokenWire) -> None:
    async with served(wire, "<think>hm</think>Yes.", think_tags=None) as (_, llm):
        response = await llm.chat("Yes?")
    assert (response.reasoning, response.content) == ("", "<think>hm</think>Yes.")


@any_wire
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11])
async def test_react_ignores_actions_in_thinking(wire: SpokenWire, size: int) -> None:
    replies = [
        Reply([text[start : start + size] for start in range(0, len(text), size)])
        for text in (ASKS, ANSWERS)
    ]
    calls = Calls()
    async with served(wire, *replies) as (_, llm):
        seen = await seen_to_end(ReActAgent(llm, [calls.weather()]).run_stream("Oslo?"))
    starts = [event.arguments for event in seen.events if isinstance(event, ToolStart)]
    assert starts == [{"city": "Oslo"}]
    assert [event.content for event in seen.events if isinstance(event, Answer)] == ["It is cold."]
    text = "".join(event.content for event in seen.events if isinstance(event, Token))
    assert "Perhaps" not in text
    reasoning = "".join(event.content for event in seen.events if isinstance(event, Reasoning))
    assert reasoning.count("Answer: 5?") == 2
