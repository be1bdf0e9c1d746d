"""Read streams with the vendors' own libraries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import See, Start, in_task

_HELLO: list[Any] = [{"role": "user", "content": "go"}]


@asynccontextmanager
async def _openai(url: str) -> AsyncIterator[Any]:
    """Make a client without a limit on its connections."""
    import openai

    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=None)
    async with openai.AsyncOpenAI(
        api_key="none",
        base_url=url,
        http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        timeout=None,
        max_retries=0,
    ) as client:
        yield client


@asynccontextmanager
async def openai_chat(url: str) -> AsyncIterator[Start]:
    """Iterate over chat completions."""

    async def read(see: See) -> None:
        stream = await client.chat.completions.create(model="replay", messages=_HELLO, stream=True)
        async for event in stream:
            if event.choices and (text := event.choices[0].delta.content):
                see(text)

    async with _openai(url) as client:
        yield in_task(read)


@asynccontextmanager
async def openai_responses(url: str) -> AsyncIterator[Start]:
    """Iterate over a response."""

    async def read(see: See) -> None:
        stream = await client.responses.create(model="replay", input="go", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                see(event.delta)

    async with _openai(url) as client:
        yield in_task(read)


@asynccontextmanager
async def anthropic_messages(url: str) -> AsyncIterator[Start]:
    """Iterate over a message."""
    import anthropic

    async def read(see: See) -> None:
        stream = await client.messages.create(
            model="replay", max_tokens=9, messages=_HELLO, stream=True
        )
        async for event in stream:
            if event.type == "content_block_delta":
                see(event.delta)

    async with anthropic.AsyncAnthropic(api_key="none", base_url=url) as client:
        yield in_task(read)


@asynccontextmanager
async def ollama_chat(url: str) -> AsyncIterator[Start]:
    """Iterate over a chat."""
    import ollama

    client = ollama.AsyncClient(host=url)

    async def read(see: See) -> None:
        async for part in await client.chat(model="replay", messages=_HELLO, stream=True):
            if part.message.content:
                see(part.message.content)

    yield in_task(read)


@asynccontextmanager
async def google_genai(url: str) -> AsyncIterator[Start]:
    """Iterate over generated content."""
    from google import genai
    from google.genai import types

    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=url))

    async def read(see: See) -> None:
        stream = await client.aio.models.generate_content_stream(model="replay", contents="go")
        async for part in stream:
            if part.text:
                see(part.text)

    yield in_task(read)
