"""The bytes that the scripted server sends, read with aiohttp."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

import rxagents
from rxagents import OpenAI, RateLimitError, ToolCall, Usage
from rxagents.testing import Ending, RawReply, Reply, ScriptedServer, StatusReply


async def post(server: ScriptedServer) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/chat/completions"
        async with session.post(url, json={"model": "m"}, headers={"X-Mine": "1"}) as response:
            return response.status, dict(response.headers), await response.read()


async def test_reply_is_complete_event_stream() -> None:
    reply = Reply("a b", tool_calls=[ToolCall("c", "f", "{}")], usage=Usage(1, 2, 3))
    async with ScriptedServer(reply) as server:
        status, headers, body = await post(server)
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    assert body.count(b"data: {") == 7
    assert body.endswith(b"data: [DONE]\n\n")


async def test_replies_are_taken_in_turn() -> None:
    async with ScriptedServer(StatusReply(503, {"a": 1}, {"Retry-After": "1"}), "x") as server:
        status, headers, body = await post(server)
        assert (status, headers["Retry-After"], body) == (503, "1", b'{"a":1}')
        assert (await post(server))[0] == (await post(server))[0] == 200
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert (request.headers["x-mine"], request.json()) == ("1", {"model": "m"})


async def test_cleared_requests_start_script_anew() -> None:
    async with ScriptedServer(StatusReply(503), "x") as server:
        await post(server)
        assert (await post(server))[0] == 200
        server.requests.clear()
        assert (await post(server))[0] == 503


async def test_function_replies_to_request() -> None:
    async with ScriptedServer(lambda request: f"to {request.json()['model']}") as server:
        assert b'" m"' in (await post(server))[2]


@pytest.mark.parametrize("provider", [rxagents.Gemini, rxagents.Ollama])
async def test_unrenderable_reply_is_explained(provider: Any) -> None:
    reply = Reply(tool_calls=[ToolCall("c", "add", "{half")])
    async with ScriptedServer(reply) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with provider("m", base_url=url, api_key="k") as llm:
            with pytest.raises(rxagents.BadRequestError, match=r"script's reply.*'add'"):
                await llm.chat("hi")


async def test_raw_pieces_arrive_unchanged() -> None:
    async with ScriptedServer(RawReply([b"a", b"", b"bc"], "text/plain")) as server:
        assert (await post(server))[2] == b"abc"


async def test_reset_is_a_client_error() -> None:
    async with ScriptedServer(Reply("a b", ending=Ending.RESET)) as server:
        with pytest.raises(aiohttp.ClientError):
            await post(server)


async def test_disconnect_is_counted() -> None:
    async with ScriptedServer(Reply("a", ending=Ending.STALL)) as server:
        leaving = asyncio.ensure_future(post(server))
        await server.received()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await asyncio.wait_for(server.disconnected(), 5)
        assert server.disconnects == 1


def test_server_needs_a_reply() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="needs a reply"):
        ScriptedServer()


async def test_requests_beyond_rate_are_refused() -> None:
    async with ScriptedServer("one", "two", requests_per_minute=1) as server:
        async with OpenAI("any", api_key="any", base_url=server.url, max_retries=0) as llm:
            assert (await llm.chat("Hi")).content == "one"
            with pytest.raises(RateLimitError, match="1 requests per minute") as caught:
                await llm.chat("Hi")
            assert caught.value.retry_after == pytest.approx(60, abs=1)
            await llm.list_models()
            await asyncio.sleep(60)
            assert (await llm.chat("Hi")).content == "two"  # a refusal takes no reply
    assert server.refusals == 1
