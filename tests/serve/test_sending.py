"""How the frames of a stream are written to its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import reactivex as rx
from aiohttp import web
from reactivex import Observable
from reactivex.subject import Subject

from rxagents import EventLog, MemoryLogStore, Token, from_aiter
from rxagents.runtime.event_log.log_store import Page
from rxagents.serve import ServeLimits
from rxagents.serve.run_frames import run_frames
from rxagents.serve.sending import send_stream

pytestmark = pytest.mark.real_time

_HEAD = b"GET / HTTP/%b\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def sent(
    frames: Observable[bytes], request: bytes = _HEAD % b"1.1", **options: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.Future[None]]]:
    """Serve a stream, and read the response; the future is done when the sending is over."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        try:
            response = await send_stream(
                request, frames, options.pop("limits", ServeLimits()), **options
            )
        finally:
            ended.set_result(None)
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0])
    writer.write(request)
    try:
        yield reader, ended
    finally:
        writer.close()
        await runner.cleanup()


async def body_of(reader: asyncio.StreamReader) -> bytes:
    """Return the body of a whole response in chunks, as it was framed."""
    received = await reader.readuntil(b"\r\n0\r\n\r\n")
    return received.partition(b"\r\n\r\n")[2]


async def test_frames_of_a_turn_are_one_write() -> None:
    async with sent(rx.of(b"a", b"bc", b"d")) as (reader, ended):
        assert await body_of(reader) == b"4\r\nabcd\r\n0\r\n\r\n"
        await ended


async def test_empty_frame_is_not_the_end() -> None:
    frames = Subject[bytes]()
    async with sent(frames) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        frames.on_next(b"")
        await asyncio.sleep(0)
        frames.on_next(b"a")
        frames.on_completed()
        assert await reader.readuntil(b"\r\n0\r\n\r\n") == b"1\r\na\r\n0\r\n\r\n"


async def test_joined_frames_are_written_at_once() -> None:
    async with sent(rx.of(b"a", b"bc"), opening=b"o", are_joined=True) as (reader, _):
        assert await body_of(reader) == b"1\r\no\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


async def test_old_protocol_gets_no_chunks() -> None:
    async with sent(rx.of(b"a", b"bc"), _HEAD % b"1.0") as (reader, _):
        assert (await reader.read()).endswith(b"\r\n\r\nabc")


async def test_head_request_gets_no_body() -> None:
    request = b"HEAD" + _HEAD.removeprefix(b"GET") % b"1.1"
    frames = Subject[bytes]()
    async with sent(frames, request) as (reader, ended):
        head = await reader.readuntil(b"\r\n\r\n")
        await ended
        assert head.startswith(b"HTTP/1.1 200")
        assert not frames.observers


async def test_comment_is_sent_after_a_silence() -> None:
    limits = ServeLimits(ping_seconds=0.01)
    async with sent(rx.never(), limits=limits) as (reader, _):
        assert (await reader.readuntil(b": ping\n\n\r\n")).count(b": ping") == 1
        assert await reader.readuntil(b": ping\n\n\r\n") == b"8\r\n: ping\n\n\r\n"


async def test_paused_connection_slows_the_stream() -> None:
    count = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal count
        while True:
            count += 1
            yield b"x" * 65_536
            await asyncio.sleep(0)

    async with sent(from_aiter(endless)) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != count:  # until the buffers of both ends are full
            before = count
            await asyncio.sleep(0.05)
        assert count < 1_000
        await reader.readexactly(65_536 * (count + 5))
        assert count > before


async def test_stream_that_does_not_stop_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    frames = Subject[bytes]()
    async with sent(frames) as (reader, ended):
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(100):
            frames.on_next(b"x" * 1_000_000)
        for _ in range(20_000):
            frames.on_next(b"x")
        await asyncio.wait_for(ended, 5)
        assert not frames.observers
    assert "More than 16384 frames wait for a client" in caplog.text


class _CountingStore(MemoryLogStore):
    """Counts how often it is read."""

    reads = 0

    def read(self, key: str, after: Any, limit: int) -> Page:
        self.reads += 1
        return super().read(key, after, limit)


async def test_readers_share_the_pages_of_a_run() -> None:
    store = _CountingStore()
    log, tokens = EventLog(store), Subject[Token]()
    handle = log.start("run", tokens)
    received: list[list[bytes]] = [[] for _ in range(50)]
    ended = [asyncio.Event() for _ in received]
    for items, end in zip(received, ended, strict=True):
        run_frames(log, "run", None).subscribe(items.append, on_completed=end.set)
    await asyncio.sleep(0.01)
    store.reads = 0
    for number in range(10):
        tokens.on_next(Token(f"a{number}"))
        tokens.on_next(Token(f"b{number}"))
        await asyncio.sleep(0.001)
    tokens.on_completed()
    await asyncio.wait_for(asyncio.gather(*(end.wait() for end in ended)), 5)
    await handle.wait()
    assert all(items == received[0] for items in received)
    text = b"".join(received[0])
    assert [text.count(b"id: 1-%d\n" % number) for number in range(1, 22)] == [1] * 20 + [0]
    assert text.endswith(b"event: end\ndata: {}\n\n")
    assert store.reads == 2  # the first and the end; the writer hands over the rest
