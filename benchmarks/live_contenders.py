"""The contenders of `live_streams.py`: bare aiohttp, rxagents, the openai SDK."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import openai
from paced_server import MARKER, NUMBER, SENT_AT, TEXT_LENGTH

import rxagents
from rxagents import StreamChunk


class Reader:
    """Counts the texts of one stream and their delays, in the same way for all contenders.

    Args:
        lags: Collects the seconds from sending to delivery; shared by all readers.

    Attributes:
        count: Number of texts.
        last: The last one.
        failure: The error that ended the stream; a stream should not end.
    """

    def __init__(self, lags: array[float]) -> None:
        self.count = 0
        self.last: str | bytes = b""
        self.failure = ""
        self._note = lags.append

    def see(self, text: str | bytes) -> None:
        """Store the delay of a text."""
        self._note(time.monotonic() - float(text[SENT_AT]))
        self.count += 1
        self.last = text

    def fail(self, error: BaseException) -> None:
        """Store why the stream ended."""
        self.failure = f"{type(error).__name__}: {error}"

    @property
    def lost(self) -> int:
        """Number of texts that were sent before the last one and not seen."""
        return int(self.last[NUMBER]) + 1 - self.count if self.last else 0


Stop: TypeAlias = Callable[[], object]
Start: TypeAlias = Callable[[Reader], Stop]
"""Starts a stream; returns a function that stops it."""

Contender: TypeAlias = Callable[[str], AbstractAsyncContextManager[Start]]
"""Makes the client that all streams share, for a server's URL."""


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Start]:
    """Find the texts in the bytes and decode nothing."""

    async def read(reader: Reader) -> None:
        rest = b""
        async with session.post(f"{url}/chat/completions", json={}) as response:
            async for data in response.content.iter_any():
                events, end = rest + data, 0
                while (start := events.find(MARKER, end) + len(MARKER)) >= len(MARKER):
                    text = events[start : start + TEXT_LENGTH]
                    if len(text) < TEXT_LENGTH:
                        break
                    reader.see(text)
                    end = start + TEXT_LENGTH
                rest = b"" if events.endswith(b"\n\n") else events[end:]

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield lambda reader: _start_task(read(reader), reader)


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Start]:
    """Subscribe to a provider's streams."""

    def start(reader: Reader) -> Stop:
        def see(chunk: StreamChunk) -> None:
            reader.see(chunk.delta)

        return llm.chat_stream("go").subscribe(see, reader.fail).dispose

    async with rxagents.OpenAI("paced", api_key="none", base_url=url) as llm:
        yield start


@asynccontextmanager
async def openai_sdk(url: str) -> AsyncIterator[Start]:
    """Iterate over the SDK's streams, with no limit on its connections."""

    async def read(reader: Reader) -> None:
        stream = await client.chat.completions.create(
            model="paced", messages=[{"role": "user", "content": "go"}], stream=True
        )
        async for event in stream:
            if event.choices and event.choices[0].delta.content:
                reader.see(event.choices[0].delta.content)

    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=None)
    async with openai.AsyncOpenAI(
        api_key="none",
        base_url=url,
        http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        timeout=None,
        max_retries=0,
    ) as client:
        yield lambda reader: _start_task(read(reader), reader)


def _start_task(work: Coroutine[Any, Any, None], reader: Reader) -> Stop:
    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            reader.fail(task.exception() or EOFError("the stream has ended"))

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task.cancel


CONTENDERS: dict[str, Contender] = {
    "aiohttp": bare_aiohttp,
    "rxagents": ours,
    "openai": openai_sdk,
}
