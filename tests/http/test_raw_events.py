"""`raw=True` on a model or on one call, over HTTP."""

from __future__ import annotations

import aiohttp
import pytest
from agent_runs import AGENTS, AgentKind, Calls, seen_to_end, served
from reactivex import Observable
from wires import SpokenWire, any_wire, each_wire

import rxagents
from rxagents import Ollama, StreamChunk
from rxagents.testing import RawReply, ScriptedLLM, ScriptedServer


async def collected(stream: Observable[StreamChunk]) -> list[StreamChunk]:
    async with rxagents.to_aiter(stream) as chunks:
        return [chunk async for chunk in chunks]


def raw_reply(wire: SpokenWire) -> RawReply:
    """Return a reply whose text comes with a field that is not known here."""
    data = wire.text("Hello")
    return RawReply(
        [wire.start() + data.replace(b"{", b'{"found": 1, ', 1), wire.finish() + wire.done()]
    )


@each_wire
@pytest.mark.parametrize("own_session", [False, True])
async def test_call_with_raw_has_bytes(wire: SpokenWire, own_session: bool) -> None:
    session = aiohttp.ClientSession() if own_session else None
    async with served(wire, raw_reply(wire), strict=False, session=session) as (server, llm):
        with_raw = await collected(llm.chat_stream("hi", raw=True))
        without = await collected(llm.chat_stream("hi"))
        if session is not None:
            await session.close()
    [text] = [chunk for chunk in with_raw if chunk.delta]
    assert text.delta == "Hello"
    assert b'"found": 1' in (text.raw or b"")
    assert all(chunk.raw for chunk in with_raw)
    assert all(chunk.raw is None for chunk in without)
    assert server.requests[0].body == server.requests[1].body


@any_wire
async def test_call_overrides_raw_of_model(wire: SpokenWire) -> None:
    async with served(wire, raw_reply(wire), strict=False, raw=True) as (_, llm):
        assert all(chunk.raw for chunk in await collected(llm.chat_stream("hi")))
        without = await collected(llm.chat_stream("hi", raw=False))
    assert [chunk.raw for chunk in without if chunk.delta] == [None]


async def test_generate_with_raw_has_bytes() -> None:
    async with ScriptedServer("Hello") as server:
        async with Ollama("m", base_url=f"http://127.0.0.1:{server.port}") as llm:
            chunks = await collected(llm.complete_stream("hi", raw=True))
    assert chunks
    assert all(b'"response"' in (chunk.raw or b"") for chunk in chunks)


@pytest.mark.parametrize(
    ("of_model", "of_call", "kept"),
    [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
async def test_scripted_model_takes_raw(of_model: bool, of_call: bool | None, kept: bool) -> None:
    chunks = await collected(ScriptedLLM("Hello", raw=of_model).chat_stream("hi", raw=of_call))
    assert [bool(chunk.raw) for chunk in chunks if chunk.delta] == [kept]


@any_wire
@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
async def test_agent_passes_raw_and_runs_the_same(wire: SpokenWire, agent: AgentKind) -> None:
    runs = []
    for raw in (False, True):
        calls = Calls()
        replies = agent.raw_calls(("weather", '{"city": "Oslo"}')), agent.answers("It is cold.")
        async with served(wire, *replies) as (_, llm):
            seen = await seen_to_end(
                agent.make(llm, [calls.weather()], raw=raw).run_stream("Oslo?")
            )
        assert seen.completed
        runs.append([(event.type, event.content) for event in seen.events])
    assert runs[0] == runs[1]
