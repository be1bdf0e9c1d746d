"""Clients that are slow, send too much, or ask for what is not theirs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from serving import Served, serving

from rxagents import EventLog, FunctionAgent, MemoryLogStore, Retention
from rxagents.serve import ServeLimits
from rxagents.serve.app import RUNS
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time

CHAT = b'{"stream": true, "messages": [{"role": "user", "content": "hi"}]}'
SAFETY_SECONDS = 60


@asynccontextmanager
async def connected(
    server: Served, limit: int = 2**16
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect with a small receive buffer, so that little is on its way."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=plain, limit=limit)
    try:
        async with asyncio.timeout(SAFETY_SECONDS):
            yield reader, writer
    finally:
        writer.transport.abort()


async def read_to_close(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection, in whichever way."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := await reader.read(2**20):
            received += chunk
    return received


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    count = len(body) if length is None else length
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {count}\r\n\r\n".encode()
        + body
    )


def agent() -> FunctionAgent:
    return FunctionAgent(ScriptedLLM(*["hi"] * 4))


async def test_reader_that_reads_nothing_is_closed() -> None:
    long = FunctionAgent(ScriptedLLM(("x" * 50_000 + " ") * 400))
    limits = ServeLimits(write_seconds=0.2)
    async with serving(long, limits=limits) as server, connected(server) as (reader, writer):
        writer.write(post("/v1/chat/completions", CHAT))
        await reader.readuntil(b"data: ")
        async with asyncio.timeout(SAFETY_SECONDS):
            await server.app[RUNS].drain(SAFETY_SECONDS)  # waits until the run has ended
        received = await read_to_close(reader)
        assert b"data: " in received
        assert not received.endswith(b"\r\n0\r\n\r\n"), "this is the end of a whole response"


async def test_slow_reader_holds_up_nobody() -> None:
    long = FunctionAgent(ScriptedLLM(*[("x" * 50_000 + " ") * 100] * 2))
    log = EventLog(MemoryLogStore(Retention(bytes=2**26)))
    async with serving(long, log=log) as server, connected(server) as (reader, writer):
        _, body = await server.post("/runs", {"task": "hi"})
        path = f"/runs/{body['id']}/events"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        frames = await server.frames(path)  # to its end
        assert "complete" in [frame.get("type") for frame in frames]


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_connection_without_a_request_is_closed(head: bytes) -> None:
    limits = ServeLimits(head_seconds=0.1)
    async with serving(agent(), limits=limits) as server, connected(server) as (reader, writer):
        writer.write(head)
        assert await reader.read() == b""
        assert (await server.get("/health"))[0] == 200


async def test_stream_outlasts_the_limit_of_heads() -> None:
    slow = FunctionAgent(ScriptedLLM(Reply("one two three", delay=0.3)))
    async with serving(slow, limits=ServeLimits(head_seconds=0.05)) as server:
        status, body = await server.post(
            "/v1/chat/completions", json.loads(CHAT) | {"stream": False}
        )
        assert (status, body["choices"][0]["message"]["content"]) == (200, "one two three")


async def test_slow_body_is_refused() -> None:
    limits = ServeLimits(body_seconds=0.1)
    async with serving(agent(), limits=limits) as server, connected(server) as (reader, writer):
        writer.write(post("/runs", b'{"task": ', length=100))
        assert b" 408 " in await reader.readline()


async def test_connections_are_bounded() -> None:
    limits = ServeLimits(connections=3)
    async with serving(agent(), limits=limits) as server:
        async with connected(server), connected(server), connected(server):
            async with connected(server) as (reader, _):
                assert await read_to_close(reader) == b""
        assert (await server.get("/health"))[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /runs/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /runs/%2e%2e%2fetc%2fpasswd/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /runs/%00/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //vercel//stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /runs/" + b"x" * 5000 + b"/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01 hello\r\n\r\n",
        b"POST /runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=[
        *("dots", "quoted dots", "nul", "slashes", "long path", "long header", "not http"),
        *("bad chunk", "negative length"),
    ],
)
async def test_odd_requests_are_refused(request_bytes: bytes) -> None:
    async with serving(agent()) as server:
        async with connected(server) as (reader, writer):
            writer.write(request_bytes)
            line = await reader.readline()
            assert line.split(b" ")[1] in {b"400", b"404", b"431"}, line
            rest = await reader.read(2**16)
            assert b"Traceback" not in rest
            assert b"root:" not in rest
        assert (await server.get("/health"))[0] == 200


async def test_endless_body_is_refused() -> None:
    async with serving(agent(), limits=ServeLimits(body_bytes=1000)) as server:
        async with connected(server) as (reader, writer):
            writer.write(
                b"POST /runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(100):
                writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            assert b" 413 " in await reader.readline()
