"""Each fault has its effect on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents.testing import (
    Ending,
    Framing,
    NoReply,
    RawReply,
    Reply,
    ScriptedServer,
    StatusReply,
)

PIECES = [b"one", b"two"]
CHUNKED = b"3\r\none\r\n3\r\ntwo\r\n"


async def test_reset_follows_sent_data(connect: Any) -> None:
    async with ScriptedServer(RawReply(PIECES, ending=Ending.RESET)) as server:
        client = await connect(server)
        await client.ask()
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()
        assert client.body == CHUNKED
        assert server.disconnects == 0


async def test_fin_ends_connection_inside_body(connect: Any) -> None:
    async with ScriptedServer(RawReply(PIECES, ending=Ending.FIN)) as server:
        client = await connect(server)
        await client.ask()
        await client.to_the_end()
        assert client.body == CHUNKED
        assert "transfer-encoding: chunked" in client.head


@pytest.mark.parametrize(
    "reply",
    [
        RawReply(PIECES, framing=Framing.LENGTH, ending=Ending.FIN),
        StatusReply(200, b"onetwo", ending=Ending.FIN),
        StatusReply(200, b"onetwo", ending=Ending.FIN, write_size=2),
    ],
)
async def test_body_shorter_than_announced(reply: Any, connect: Any) -> None:
    async with ScriptedServer(reply) as server:
        client = await connect(server)
        await client.ask()
        await client.to_the_end()
        assert client.body == b"onetwo"
        assert "content-length: 1006" in client.head


async def test_bad_chunk_arrives_separately(connect: Any) -> None:
    async with ScriptedServer(RawReply(PIECES, ending=Ending.BAD_CHUNK)) as server:
        client = await connect(server)
        await client.ask()
        await client.until(CHUNKED)
        assert client.body == CHUNKED
        assert await client.packet() == b"no size\r\n"
        assert await client.is_silent()


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (RawReply([], ending=Ending.STALL), b""),
        (RawReply(PIECES, ending=Ending.STALL), CHUNKED),
        (StatusReply(500, "oh", ending=Ending.STALL), b"oh"),
        (RawReply(PIECES, framing=Framing.CLOSE, ending=Ending.STALL), b"onetwo"),
        (RawReply(PIECES, interval=60), b"3\r\none\r\n"),
        (RawReply([b"one"], interval=60, ending=Ending.FIN), b"3\r\none\r\n"),
    ],
)
async def test_stall_is_silent_after_data(reply: Any, body: bytes, connect: Any) -> None:
    async with ScriptedServer(reply) as server:
        client = await connect(server)
        await client.ask()
        await client.until(b"\r\n\r\n" + body)
        assert await client.is_silent()
        assert client.body == body
        client.sock.close()
        await server.disconnected()


@pytest.mark.parametrize(
    "reply",
    [NoReply(Ending.STALL), NoReply(delay=60), Reply("x", delay=60), StatusReply(500, delay=60)],
)
async def test_stall_before_headers(reply: Any, connect: Any) -> None:
    async with ScriptedServer(reply) as server:
        client = await connect(server)
        await client.ask()
        await server.received()
        assert await client.is_silent()
        client.sock.close()
        await server.disconnected()


async def test_no_reply_sends_nothing(connect: Any) -> None:
    replies = [NoReply(), NoReply(Ending.RESET)]
    async with ScriptedServer(*replies) as server:
        closed, reset = [await connect(server) for _ in replies]
        await closed.ask()
        assert await closed.packet() == b""
        await reset.ask()
        with pytest.raises(ConnectionResetError):
            await reset.packet()
        assert server.disconnects == 0


async def test_reused_connection_is_closed(connect: Any) -> None:
    async with ScriptedServer(lambda r: NoReply() if r.reused else "hello") as server:
        for _ in range(2):
            client = await connect(server)
            await client.ask()
            await client.until(b"0\r\n\r\n")
            await client.ask()
            assert await client.packet() == b""
        assert [request.reused for request in server.requests] == [False, True] * 2
