"""A conversation that one provider's models made is accepted by every other provider."""

from __future__ import annotations

from typing import Any

import pytest
from foreign_streams import STREAMS, body_of
from wires import WIRES, SpokenWire, any_wire, each_wire

from rxagents import FilePart, ImagePart, Message, ReasoningPart, ToolCall
from rxagents.testing import RawReply, ScriptedServer

TOOL = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


async def made_by(source: SpokenWire) -> list[Message]:
    """Return the conversation that the source's streams make, with a result for every call."""
    streams = [
        RawReply([body_of(source, each)], source.content_type.decode())
        for each in STREAMS[source.name]
    ]
    conversation: list[Message] = []
    async with ScriptedServer(*streams) as server, source.model(source.url_of(server)) as llm:
        for number in range(len(streams)):
            conversation.append(Message.user(f"Question {number}"))
            answer = (await llm.chat(conversation, tools=[TOOL])).message
            conversation.append(answer)
            conversation += [Message.tool(call.id, "cold") for call in answer.tool_calls]
    return conversation


@each_wire
@pytest.mark.parametrize("source", WIRES, ids=lambda wire: f"from {wire.name}")
async def test_conversation_of_every_wire_is_accepted(source: SpokenWire, wire: SpokenWire) -> None:
    conversation = await made_by(source)
    calls = [call for message in conversation for call in message.tool_calls]
    assert len(calls) >= 2
    async with ScriptedServer("Yes.", strict=True) as server:
        async with wire.model(wire.url_of(server)) as llm:
            await llm.chat([*conversation, "Go on."], tools=[TOOL])
            await llm.chat([Message.system(" \n"), *conversation], tools=[TOOL])
        sent = server.requests[0].body.decode()
    assert all(f"Question {number}" in sent for number in range(len(STREAMS[source.name])))
    assert sent.count('"cold"') == len(calls)
    assert "Cold." in sent


def asked(*messages: Message) -> list[Message]:
    return [Message.user("hi"), *messages, Message.user("Go on.")]


def called(*calls: ToolCall, before: str = "") -> list[Message]:
    results = [Message.tool(call.id, f"result {i}", name=call.name) for i, call in enumerate(calls)]
    return [Message.assistant(*([before] if before else []), *calls), *results]


CALL = ToolCall("c1", "weather", "{}")

CONVERSATIONS: dict[str, list[Message]] = {
    "blank id": asked(*called(ToolCall("", "weather", "{}"))),
    "blank name": asked(*called(ToolCall("c1", "", "{}"))),
    "same ids in one turn": asked(*called(CALL, ToolCall("c1", "weather", '{"city":"Rome"}'))),
    "same ids in each turn": asked(*called(CALL), *called(CALL), *called(CALL)),
    "ids that differ in odd characters": asked(
        *called(ToolCall("a.1", "weather"), ToolCall("a:1", "weather"), ToolCall("a 1", "weather"))
    ),
    "long id and name": asked(*called(ToolCall("i" * 200, "n" * 200, "{}"))),
    "name with other letters": asked(*called(ToolCall("c1", "météo.now", "{}"))),
    "name that begins with a digit": asked(*called(ToolCall("c1", "2d_plot", "{}"))),
    "half a character": asked(*called(ToolCall("\ud83d", "w\ud83d", '{"a": \ud83d'))),
    "arguments null": asked(*called(ToolCall("c1", "weather", "null"))),
    "arguments NaN": asked(*called(ToolCall("c1", "weather", '{"a": NaN}'))),
    "white space arguments": asked(*called(ToolCall("c1", "weather", " \n"))),
    "cut call": asked(Message.assistant("Let me", ToolCall("c1", "weather", '{"city'))),
    "cut call without text": asked(Message.assistant(ToolCall("c1", "weather"))),
    "cut call after a whole one": asked(
        Message.assistant(CALL, ToolCall("c2", "weather", '{"ci')), Message.tool("c1", "result 0")
    ),
    "white space before a call": asked(*called(CALL, before="\n\n")),
    "white space of the user": [Message.user(" \n"), *asked()],
    "empty answer": asked(Message.assistant("")),
    "only thinking": asked(Message.assistant(ReasoningPart("Hm"))),
    "thinking at the end": asked(Message.assistant("So.", ReasoningPart("Hm"))),
    "two answers": asked(Message.assistant("a"), Message.assistant(" "), Message.assistant("b")),
}


@any_wire
@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_odd_conversation_is_accepted(name: str, wire: SpokenWire) -> None:
    messages = CONVERSATIONS[name]
    async with ScriptedServer("Yes.", strict=True) as server:
        async with wire.model(wire.url_of(server)) as llm:
            await llm.chat(messages, tools=[TOOL])
        sent = server.requests[0].body.decode()
    results = [message for message in messages if message.role == "tool"]
    assert sent.count('"result ') == len(results)


@each_wire
async def test_settings_of_tools_need_tools(wire: SpokenWire) -> None:
    settings: dict[str, Any] = {"tool_choice": "none"}
    if wire.name not in {"gemini", "ollama"}:  # which cannot forbid parallel calls
        settings["parallel_tool_calls"] = False
    async with ScriptedServer("Yes.", strict=True) as server:
        async with wire.model(wire.url_of(server), **settings) as llm:
            await llm.chat("hi")
            await llm.chat("hi", tools=[TOOL])
        without, with_tools = (request.body.decode().lower() for request in server.requests)
    assert "choice" not in without
    assert "toolconfig" not in without
    assert ("choice" in with_tools or "toolconfig" in with_tools) == (wire.name != "ollama")


@each_wire
async def test_files_are_accepted(wire: SpokenWire) -> None:
    picture = ImagePart(data=b"\x89PNG", media_type="image/png")
    file = FilePart(b"%PDF", "a.pdf")
    parts: list[Any] = (
        ["Look.", " ", picture] if wire.name == "ollama" else ["Look.", " ", picture, file]
    )
    async with ScriptedServer("Yes.", strict=True) as server:
        async with wire.model(wire.url_of(server)) as llm:
            await llm.chat([Message.user(*parts), Message.assistant("Nice."), "Go on."])
