"""The faults of the Go original in its streams, one test each: none of them may come back.

The list is the first chapter of the design; many of these are tested in depth elsewhere.
"""

from __future__ import annotations

from typing import Any

import pytest
from agent_runs import Calls, RunSeen, seen_to_end, served
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    FunctionAgent,
    OpenAI,
    StreamChunk,
    Timeouts,
    Token,
    ToolCall,
    Usage,
)
from rxagents.testing import Ending, RawReply, Reply, ScriptedServer, StatusReply

OSLO = ToolCall("call_1", "weather", '{"city":"Oslo"}')


async def chunks_of(llm: Any) -> list[StreamChunk]:
    async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
        return [chunk async for chunk in chunks]


# Chunks.


@any_wire
async def test_accumulated_content_is_filled(wire: SpokenWire) -> None:
    async with served(wire, "Hello there, Ada") as (_, llm):
        contents = [chunk.content for chunk in await chunks_of(llm) if chunk.delta]
    assert contents == ["Hello", "Hello there,", "Hello there, Ada"]


@any_wire
async def test_error_in_stream_is_raised(wire: SpokenWire) -> None:
    reply = Reply("Say it", error=rxagents.ServerError("out of paper", status=500))
    async with served(wire, reply) as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm).run_stream("hi"))
    assert "".join(token.content for token in seen.all(Token)) == "Say it"
    assert seen.events[-1].error is not None
    assert "out of paper" in seen.events[-1].error.message
    assert "out of paper" in str(seen.error)


@any_wire
async def test_malformed_json_is_not_skipped(wire: SpokenWire) -> None:
    kind = wire.content_type.decode()
    pieces = [wire.text("one"), wire.raw(b'{"half": '), wire.text("two"), wire.finish()]
    async with served(wire, RawReply(pieces, content_type=kind)) as (_, llm):
        with pytest.raises(rxagents.StreamDecodeError):
            await llm.chat("hi")


@any_wire
async def test_status_and_error_body_are_raised(wire: SpokenWire) -> None:
    body = {"error": {"message": "no such model", "type": "x"}}
    async with served(wire, StatusReply(404, body)) as (_, llm):
        with pytest.raises(rxagents.NotFoundError, match="no such model"):
            await FunctionAgent(llm).run("hi")


@any_wire
async def test_truncated_stream_is_no_success(wire: SpokenWire) -> None:
    async with served(wire, Reply("Say it all", cut_after=3, ending=Ending.CLOSE)) as (_, llm):
        with pytest.raises(rxagents.TruncatedStreamError):
            await FunctionAgent(llm).run("hi")


# Server-sent events.

HELLO = '{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}'
LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    ("stream", "content"),
    [
        (f"data:{HELLO}\n\ndata:[DONE]\n\n", "Hello"),
        (f"data: {HELLO}\r\rdata: [DONE]\r\r", "Hello"),
        (f"data: {HELLO}\r\n\r\ndata: [DONE]\r\n\r\n", "Hello"),
        ("data: " + HELLO.replace(",", ",\ndata: ") + "\n\ndata: [DONE]\n\n", "Hello"),
        (f"data: {HELLO.replace('Hello', LONG)}\n\ndata: [DONE]\n\n", LONG),
    ],
    ids=["no space", "CR", "CRLF", "many lines", "a long line"],
)
async def test_events_follow_the_sse_standard(stream: str, content: str) -> None:
    reply = RawReply([stream.encode()])
    async with ScriptedServer(reply) as server:
        async with OpenAI("m", base_url=server.url, max_retries=0) as llm:
            assert (await llm.chat("hi")).content == content


# Usage, calls, thinking, choices.


@any_wire
async def test_usage_calls_and_thinking_are_kept(wire: SpokenWire) -> None:
    reply = Reply("Hm", reasoning="Winter.", tool_calls=[OSLO], usage=Usage(5, 6, 11))
    async with served(wire, reply) as (_, llm):
        response = await llm.chat("hi", tools=[Calls().weather()])
    assert response.reasoning == "Winter."
    assert [call.parse() for call in response.tool_calls] == [{"city": "Oslo"}]
    assert response.finish_reason == "tool_calls"
    assert response.usage is not None
    assert response.usage.output_tokens == 6


async def test_every_choice_is_read() -> None:
    second = HELLO.replace('"index":0', '"index":1')
    stream = f"data: {HELLO}\n\ndata: {second}\n\ndata: [DONE]\n\n"
    async with ScriptedServer(RawReply([stream.encode()])) as server:
        async with OpenAI("m", base_url=server.url, max_retries=0) as llm:
            assert [chunk.choice for chunk in await chunks_of(llm)] == [0, 1]


# Time.


@any_wire
async def test_only_silence_times_out(
    wire: SpokenWire,
) -> None:
    healthy = Reply("a b c d e f g h i j", interval=0.06)
    silent = Reply("a b c", cut_after=3, ending=Ending.STALL)
    timeouts = Timeouts(first=5, idle=0.4)
    async with served(wire, healthy, silent, timeout=timeouts) as (_, llm):
        assert (await llm.chat("hi")).content == "a b c d e f g h i j"  # takes 0.6 s
        with pytest.raises(rxagents.IdleTimeoutError):
            await llm.chat("hi")


@any_wire
async def test_dispose_leaks_no_producer(wire: SpokenWire) -> None:
    for _ in range(5):
        endless = Reply("a b c", interval=0.001, ending=Ending.ENDLESS)
        async with served(wire, endless) as (server, llm):
            seen = RunSeen(FunctionAgent(llm).run_stream("hi"))
            await seen.saw(Token, 3)
            count = len(seen.events)
            seen.dispose()
            await server.disconnected()
            assert (len(seen.events), seen.error, seen.completed) == (count, None, False)
