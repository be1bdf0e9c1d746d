"""Read chat completions with an HTTP library and code written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from benchmarks.paced_server import MARKER, TEXT_LENGTH
from benchmarks.peers import See, Start, in_task


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Start]:
    """Read the bytes and look at nothing; what is seen is a read."""

    async def read(see: See) -> None:
        async with session.post(f"{url}/chat/completions", json={}) as response:
            async for data in response.content.iter_any():
                see(data)

    async with _session() as session:
        yield in_task(read)


@asynccontextmanager
async def aiohttp_texts(url: str) -> AsyncIterator[Start]:
    """Find the texts of `paced_server` in the bytes and decode nothing."""

    async def read(see: See) -> None:
        rest = b""
        async with session.post(f"{url}/chat/completions", json={}) as response:
            async for data in response.content.iter_any():
                events, end = rest + data, 0
                while (start := events.find(MARKER, end) + len(MARKER)) >= len(MARKER):
                    text = events[start : start + TEXT_LENGTH]
                    if len(text) < TEXT_LENGTH:
                        break
                    see(text)
                    end = start + TEXT_LENGTH
                rest = b"" if events.endswith(b"\n\n") else events[end:]

    async with _session() as session:
        yield in_task(read)


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta


class _Event(msgspec.Struct):
    choices: list[_Choice]


@asynccontextmanager
async def hand_written(url: str) -> AsyncIterator[Start]:
    """Extract the text with the least work: code written by hand for one provider."""
    decode = msgspec.json.Decoder(_Event).decode

    async def read(see: See) -> None:
        rest = b""
        async with session.post(f"{url}/chat/completions", json={}) as response:
            async for data in response.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if not line.startswith(b"data: ") or line == b"data: [DONE]":
                        continue
                    event = decode(line[6:])
                    if event.choices and (text := event.choices[0].delta.content):
                        see(text)

    async with _session() as session:
        yield in_task(read)


@asynccontextmanager
async def httpx_sse(url: str) -> AsyncIterator[Start]:
    """Read events with httpx-sse; decode them with msgspec."""
    import httpx
    from httpx_sse import aconnect_sse

    decode = msgspec.json.Decoder(_Event).decode

    async def read(see: See) -> None:
        async with aconnect_sse(client, "POST", f"{url}/chat/completions", json={}) as source:
            async for event in source.aiter_sse():
                if event.data == "[DONE]":
                    break
                choices = decode(event.data).choices
                if choices and (text := choices[0].delta.content):
                    see(text)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:
        yield in_task(read)
