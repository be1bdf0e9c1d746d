"""Helpers for conversations over HTTP: an agent, its server, and the texts of requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from remembering import conversation_in, done
from wires import SpokenWire

import rxagents
from rxagents import ConversationalAgent, ToolCall
from rxagents.testing import ReceivedRequest, Reply, ScriptedServer
from rxagents.testing.scripted_server import Script

WEATHER = ToolCall("call_1", "weather", '{"city":"Oslo"}')
ASKS_WEATHER = Reply(tool_calls=[WEATHER])


@rxagents.tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"cold in {city}"


class Endless:
    """A tool that never ends by itself; its events say that it runs and was cancelled."""

    def __init__(self) -> None:
        self.runs = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.tool = rxagents.tool(self._weather, name="weather")

    async def _weather(self, city: str) -> str:
        self.runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return city


class Conversing(Struct, frozen=True):
    """An agent and its server."""

    agent: ConversationalAgent
    server: ScriptedServer

    @property
    def kept(self) -> str:
        """The default conversation, exported."""
        return done(self.agent.memory.export("default"))

    @property
    def questions(self) -> list[str]:
        """The user's remembered messages."""
        kept = conversation_in(self.agent.memory).exchanges
        return [exchange[0].text for exchange in kept]

    @property
    def last(self) -> ReceivedRequest:
        return self.server.requests[-1]


@asynccontextmanager
async def conversing(
    wire: SpokenWire, *replies: Script, **arguments: Any
) -> AsyncIterator[Conversing]:
    """Run a server that refuses what the provider would refuse, and an agent that calls it."""
    async with ScriptedServer(*replies, strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            yield Conversing(ConversationalAgent(llm, **arguments), server)


def said(request: ReceivedRequest) -> list[str]:
    """Return the texts and results of a request in order, without the system prompt."""
    body = request.json()
    turns = body.get("messages") or body.get("contents") or body.get("input")
    return [text for turn in turns if turn.get("role") != "system" for text in _texts(turn)]


def system_of(request: ReceivedRequest) -> list[str]:
    """Return the system prompts of a request."""
    body = request.json()
    if "systemInstruction" in body:
        return list(_texts(body["systemInstruction"]))
    if "system" in body:
        return [block["text"] for block in body["system"]]
    turns = body.get("messages") or body.get("input") or []
    return [text for turn in turns if turn.get("role") == "system" for text in _texts(turn)]


def _texts(turn: dict[str, Any]) -> Iterator[str]:
    content = turn.get("output", turn.get("content", turn.get("parts")))
    if isinstance(content, str):
        yield from filter(None, [content])
        return
    for part in content or ():
        if part.get("thought"):
            continue
        if "functionResponse" in part:
            yield from part["functionResponse"]["response"].values()
        elif part.get("type") == "tool_result":
            yield part["content"]
        elif "text" in part:
            yield part["text"]
