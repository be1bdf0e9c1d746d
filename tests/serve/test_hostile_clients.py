"""Clients that are slow, send too much, or ask for what is not theirs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tracemalloc
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from child import started
from matrix import only_full
from reactivex import Observable
from serving import Served, serving

from rxagents import (
    Complete,
    EventLog,
    FunctionAgent,
    MemoryLogStore,
    Retention,
    StreamEvent,
    Token,
    TurnStart,
    from_aiter,
)
from rxagents.serve import ServeLimits
from rxagents.serve.app import RUNS
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time

CHAT = b'{"stream": true, "messages": [{"role": "user", "content": "hi"}]}'
SAFETY_SECONDS = 8


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


class Flood:
    """An agent that writes 100 MB as fast as they are read.

    Attributes:
        emitted: How many tokens it has written.
    """

    TOKENS = 2000
    LENGTH = 50_000

    def __init__(self) -> None:
        self.emitted = 0

    def run_stream(self, _: Any) -> Observable[StreamEvent]:
        return from_aiter(self._events)

    async def _events(self) -> AsyncIterator[StreamEvent]:
        text = "x" * self.LENGTH
        yield TurnStart(1)
        for _ in range(self.TOKENS):
            self.emitted += 1
            yield Token(text)
            await asyncio.sleep(0)
        yield Complete("done")


async def run_path(server: Served) -> bytes:
    _, body = await server.post("/runs", {"task": "hi"})
    return f"GET /runs/{body['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


UI_MESSAGE = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
AGUI = {"threadId": "t", "runId": "r", "messages": [{"id": "1", "role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "body", "is_kept"),
    [
        ("/runs", None, True),
        ("/v1/chat/completions", json.loads(CHAT), False),
        pytest.param("/vercel", {"id": "c", "messages": [UI_MESSAGE]}, True, marks=only_full),
        pytest.param("/v1/responses", {"input": "hi", "stream": True}, False, marks=only_full),
        pytest.param("/agui", AGUI, False, marks=only_full),
    ],
)
async def test_reader_that_reads_nothing_is_closed(
    path: str, body: Any, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is closed, and what the server holds for it is bounded."""
    flood, limits, closed = Flood(), ServeLimits(write_seconds=0.1), asyncio.Event()
    log = EventLog(MemoryLogStore(Retention(bytes=2**20)))
    transport: Any = vars(asyncio.selector_events)["_SelectorSocketTransport"]
    abort = transport.abort

    def note_and_abort(self: Any) -> None:
        closed.set()
        abort(self)

    async with serving(flood, limits=limits, log=log) as server, connected(server) as (reader, out):
        asking = await run_path(server) if body is None else post(path, json.dumps(body).encode())
        monkeypatch.setattr(transport, "abort", note_and_abort)
        tracemalloc.start()
        try:
            out.write(asking)
            await reader.readuntil(b"data: ")
            await closed.wait()
            await server.app[RUNS].drain(SAFETY_SECONDS)  # waits until the run has ended
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        received = await read_to_close(reader)
        assert not received.endswith(b"\r\n0\r\n\r\n"), "this is the end of a whole response"
        assert (flood.emitted == Flood.TOKENS) is is_kept
        assert peak < Flood.TOKENS * Flood.LENGTH / 8, peak


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


@pytest.mark.parametrize("run_id", ["none", "%ed%a0%80", "%00", "a%2fb", "..", "x" * 600, "%0d%0a"])
async def test_wrong_ids_find_nothing(run_id: str) -> None:
    async with serving(agent()) as server:
        await server.post("/runs", {"task": "hi"})
        bodies: dict[str, Any] = {
            "stop": None,
            "steer": {"text": "a"},
            "approve": {"decisions": {}},
        }
        answers = [await server.post(f"/runs/{run_id}/{each}", bodies[each]) for each in bodies]
        answers.append(await server.get(f"/runs/{run_id}/events"))
        for status, answer in answers:
            assert status in {400, 404, 405}, answer
            assert "Traceback" not in str(answer)


async def test_very_deep_body_is_refused() -> None:
    async with serving(agent()) as server, connected(server) as (reader, writer):
        writer.write(post("/runs", b'{"task": ' + b"[" * 2_000_000))
        assert b" 400 " in await reader.readline()


async def test_ids_of_runs_cannot_be_guessed() -> None:
    async with serving(agent()) as server:
        ids = [(await server.post("/runs", {"task": "hi"}))[1]["id"] for _ in range(3)]
        assert len(set(ids)) == 3
        assert all(re.fullmatch("run_[0-9a-f]{32}", each) for each in ids)


SERVER = """
import asyncio, resource
from rxagents import FunctionAgent
from rxagents.serve import ServeLimits, make_app, serve
from rxagents.testing import ScriptedLLM

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
app = make_app(FunctionAgent(ScriptedLLM("hi")), limits=ServeLimits(head_seconds=6))
asyncio.run(serve(app, port=0, on_start=lambda url: print(url, flush=True)))
"""


def memory_of(process: int) -> int:
    """Return the bytes of memory that a process uses."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


@only_full
def test_ten_thousand_silent_connections() -> None:
    count, room = 10_000, 300
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + room or not Path("/proc/self/status").exists():
        pytest.skip(f"the limit of file descriptors is {hard}, or there is no /proc")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets: list[socket.socket] = []
    try:
        usual = {**os.environ, "PYTHONDEVMODE": ""}  # the debug mode accepts a tenth as many
        command = [sys.executable, "-c", SERVER]
        with started(command, stdout=subprocess.PIPE, env=usual) as process:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            host, _, port = url.removeprefix("http://").partition(":")
            before = memory_of(process.pid)
            for number in range(count - 1):  # the last one is for /health
                sockets.append(socket.create_connection((host, int(port)), SAFETY_SECONDS))
                sockets[-1].sendall(b"GET / HTTP/1.1\r\n"[: number % 17])
            with urllib.request.urlopen(f"{url}/health", timeout=SAFETY_SECONDS) as response:
                assert response.status == 200
            assert memory_of(process.pid) - before < 25_000 * count
            for each in sockets:
                assert each.recv(1000) == b"", "closed when the time of the head is over"
            with urllib.request.urlopen(f"{url}/health", timeout=SAFETY_SECONDS) as response:
                assert response.status == 200
            process.kill()
    finally:
        for each in sockets:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_endless_body_is_refused() -> None:
    async with serving(agent(), limits=ServeLimits(body_bytes=1000)) as server:
        async with connected(server) as (reader, writer):
            writer.write(
                b"POST /runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(100):
                writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            assert b" 413 " in await reader.readline()
