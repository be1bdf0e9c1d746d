"""A conversation over every wire: a question, tool calls and an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wires import WIRES, SpokenWire, each_wire

import rxagents
from rxagents import ImagePart, Message, TextPart, ToolCall, Usage
from rxagents.testing import Reply, ScriptedServer

TOOL = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALLS = [
    ToolCall("call_1", "weather", '{"city":"Oslo"}'),
    ToolCall("call_2", "weather", '{"city":"Rome"}'),
]
FIRST = Reply(
    "Let me look.",
    reasoning="Two cities, two calls.",
    tool_calls=CALLS,
    usage=Usage(5, 6, 11),
)
SECOND = Reply("Oslo is cold.", usage=Usage(7, 8, 15))
PICTURE = ImagePart(data=b"\x89PNG", media_type="image/png")

GOLDEN = Path(__file__).parent / "golden"
"""One request body a wire, checked against the API reference: check again what you change."""


def question() -> list[Message]:
    return [
        Message.system("Be brief."),
        Message("user", (TextPart("Weather in both?"), PICTURE)),
    ]


@each_wire
async def test_parallel_tool_calls_round_trip(wire: SpokenWire) -> None:
    async with ScriptedServer(FIRST, SECOND, strict=True) as server:
        async with wire.model(wire.url_of(server)) as llm:
            conversation = question()
            first = await llm.chat(conversation, tools=[TOOL])
            assert first.finish_reason == "tool_calls"
            assert (first.content, first.reasoning) == ("Let me look.", FIRST.reasoning)
            assert [call.parse() for call in first.tool_calls] == [
                {"city": "Oslo"},
                {"city": "Rome"},
            ]
            assert first.usage is not None
            assert first.usage.input_tokens == 5
            conversation.append(first.message)
            conversation += [Message.tool(call.id, "cold") for call in first.tool_calls]
            second = await llm.chat(conversation, tools=[TOOL])
        assert (second.content, second.finish_reason) == ("Oslo is cold.", "stop")
        text = server.requests[1].body.decode()
        for number, call in enumerate(first.tool_calls):
            text = text.replace(call.id, f"call_{number + 1}")  # some wires have no ids
        golden = GOLDEN / f"{wire.name.replace(' ', '_')}.json"
        assert json.loads(text) == json.loads(golden.read_text())


@each_wire
async def test_answer_of_another_wire_is_accepted(wire: SpokenWire) -> None:
    async with ScriptedServer(FIRST, strict=True) as server:
        for other in WIRES:
            async with other.model(other.url_of(server)) as llm:
                first = await llm.chat("Weather in both?", tools=[TOOL])
            results = [Message.tool(call.id, "cold") for call in first.tool_calls]
            conversation = [Message.user("Weather in both?"), first.message, *results]
            async with wire.model(wire.url_of(server)) as llm:
                await llm.chat(conversation, tools=[TOOL])


@each_wire
async def test_strict_server_refuses_invalid_request(wire: SpokenWire) -> None:
    async with ScriptedServer("x", strict=True) as server:
        async with wire.model(wire.url_of(server)) as llm:
            with pytest.raises(rxagents.BadRequestError, match="The request is refused"):
                await llm.chat([Message.user("hi"), Message.tool("call_9", "cold", name="f")])


@each_wire
async def test_prompt_is_completed(wire: SpokenWire) -> None:
    async with ScriptedServer("a time.", strict=True) as server:
        async with wire.model(wire.url_of(server), max_tokens=5, stop="END") as llm:
            if wire.name == "openai responses":
                llm = wire.model(wire.url_of(server), max_tokens=5)
            assert (await llm.complete("Once upon")).content == "a time."
            await llm.aclose()
