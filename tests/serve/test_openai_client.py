"""OpenAI's own client, against both of its endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agent_runs import Calls, served
from serving import serving
from wires import WIRES, SpokenWire

from rxagents import FunctionAgent, RateLimitError, ServerError, ToolCall, Usage
from rxagents.testing import Ending, Reply, ScriptedLLM

openai: Any = pytest.importorskip("openai", reason="openai, of the extra `dev`, is not installed")

pytestmark = pytest.mark.real_time
two_wires = pytest.mark.parametrize("wire", WIRES[:2], ids=lambda wire: wire.name)

HELLO: Any = [{"role": "user", "content": "Hello."}]
ASKS = Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')])


@asynccontextmanager
async def client_of(agent: Any, **options: Any) -> AsyncIterator[Any]:
    async with serving(agent, **options) as server:
        key = options.get("token", "unused")
        url = f"{server.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            yield client


def weather_agent() -> FunctionAgent:
    counted = Reply("It is cold.", reasoning="hm", usage=Usage(3, 2, 5))
    return FunctionAgent(ScriptedLLM(ASKS, counted), [Calls().weather()])


async def test_chat_completion() -> None:
    async with client_of(weather_agent()) as client:
        made = await client.chat.completions.create(model="agent", messages=HELLO)
        assert made.choices[0].message.content == "It is cold."
        assert made.choices[0].finish_reason == "stop"
        assert (made.usage.prompt_tokens, made.usage.total_tokens) == (3, 5)


async def test_streamed_chat_completion() -> None:
    async with client_of(weather_agent()) as client:
        stream = client.chat.completions.stream(
            model="agent", messages=HELLO, stream_options={"include_usage": True}
        )
        async with stream as events:
            texts = [event.delta async for event in events if event.type == "content.delta"]
            made = await events.get_final_completion()
        assert "".join(texts) == "It is cold."
        assert made.choices[0].message.content == "It is cold."
        assert made.usage.total_tokens == 5


async def test_response() -> None:
    async with client_of(weather_agent()) as client:
        made = await client.responses.create(model="agent", input="Hello.")
        assert made.output_text == "It is cold."
        assert made.status == "completed"
        assert made.usage.total_tokens == 5


async def test_streamed_response() -> None:
    async with client_of(weather_agent()) as client:
        async with client.responses.stream(model="agent", input=HELLO) as events:
            seen = [event async for event in events]
            made = await events.get_final_response()
        texts = [each.delta for each in seen if each.type == "response.output_text.delta"]
        thought = [
            each.delta for each in seen if each.type == "response.reasoning_summary_text.delta"
        ]
        assert ("".join(texts), "".join(thought)) == ("It is cold.", "hm")
        assert made.output_text == "It is cold."
        assert made.usage.total_tokens == 5


async def test_response_goes_into_the_next_request() -> None:
    llm = ScriptedLLM(Reply("Hi.", reasoning="hm"), "Bye.")
    async with client_of(FunctionAgent(llm)) as client:
        first = await client.responses.create(model="agent", input=HELLO)
        items = [*HELLO, *first.output, {"role": "user", "content": "Bye?"}]
        await client.responses.create(model="agent", input=items)
    assert [each.text for each in llm.requests[1].messages] == ["Hello.", "Hi.", "Bye?"]


async def test_failures_are_typed() -> None:
    errors = [RateLimitError("slow down", status=429), ServerError("no", status=500)]
    llm = ScriptedLLM(*(Reply("Half", error=error) for error in errors for _ in range(4)))
    async with client_of(FunctionAgent(llm)) as client:
        for kind in (openai.RateLimitError, openai.InternalServerError):
            with pytest.raises(kind):
                await client.chat.completions.create(model="agent", messages=HELLO)
            with pytest.raises(kind):
                await client.responses.create(model="agent", input=HELLO)
            stream = await client.chat.completions.create(
                model="agent", messages=HELLO, stream=True
            )
            with pytest.raises(openai.APIError):
                await anext(event async for event in stream if not event.choices)
            events = await client.responses.create(model="agent", input=HELLO, stream=True)
            *_, last = [event async for event in events]
            assert last.type == "response.failed"
            assert last.response.error.message


async def test_wrong_key_and_wrong_request_are_typed() -> None:
    async with client_of(FunctionAgent(ScriptedLLM("hi")), token="secret") as client:
        with pytest.raises(openai.BadRequestError, match="at least one"):
            await client.responses.create(model="agent", input=[])
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="other").models.list()
        assert [model.id async for model in client.models.list()] == ["agent"]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("leaves", ["before the first event", "in the middle"])
@two_wires
async def test_cancel_closes_the_providers_request(wire: SpokenWire, leaves: str, api: str) -> None:
    reply = Reply("never", delay=60)
    if leaves == "in the middle":
        reply = Reply("one two three", ending=Ending.STALL, cut_after=5)
    async with served(wire, reply) as (host, llm):
        async with client_of(FunctionAgent(llm)) as client:

            async def read() -> None:
                if api == "chat":
                    asked = client.chat.completions.create(
                        model="agent", messages=HELLO, stream=True
                    )
                else:
                    asked = client.responses.create(model="agent", input=HELLO, stream=True)
                async for _ in await asked:
                    first.set()

            first = asyncio.Event()
            reading = asyncio.ensure_future(read())
            await host.received()
            if leaves == "in the middle":
                await first.wait()
            reading.cancel()
            await host.disconnected()
            await asyncio.wait([reading])
