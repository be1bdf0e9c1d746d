"""Bodies that are slow, endless, compressed, or end with their connection."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from rxagents.testing import (
    Ending,
    Framing,
    RawReply,
    Reply,
    ScriptedServer,
    StatusReply,
)

PIECES = [b"one", b"two"]


async def test_write_size_splits_writes(connect: Any) -> None:
    reply = RawReply([b"ab", b"cdefg"], write_size=2, interval=0.001)
    async with ScriptedServer(reply) as server:
        client = await connect(server)
        await client.ask()
        await client.until(b"0\r\n\r\n")
        assert client.chunks() == [b"ab", b"cd", b"ef", b"g", b""]


async def test_comments_continue_without_events(connect: Any) -> None:
    reply = Reply("one two", cut_after=2, ending=Ending.COMMENTS)
    async with ScriptedServer(reply) as server:
        client = await connect(server)
        await client.ask()
        await client.until(b": still here\n\n\r\n")
        while len(client.chunks()) < 6:
            await client.packet()
        assert client.received.count(b"data: ") == 2
        assert set(client.chunks()[2:5]) == {b": still here\n\n"}
        client.sock.close()
        await server.disconnected()


@pytest.mark.parametrize(
    "reply",
    [
        RawReply(PIECES, ending=Ending.ENDLESS, framing=Framing.CLOSE),
        RawReply(PIECES, ending=Ending.ENDLESS),
        StatusReply(500, "two", ending=Ending.ENDLESS),
    ],
)
async def test_endless_body_repeats_last_piece(reply: Any, connect: Any) -> None:
    async with ScriptedServer(reply) as server:
        client = await connect(server)
        await client.ask()
        while client.received.count(b"two") < 100:
            await client.packet()
        assert client.received.count(b"one") <= 1
        client.sock.close()
        await server.disconnected()


async def test_body_ends_with_connection(connect: Any) -> None:
    async with ScriptedServer(RawReply(PIECES, framing=Framing.CLOSE)) as server:
        client = await connect(server)
        await client.ask()
        await client.to_the_end()
        assert client.body == b"onetwo"
        assert client.head.startswith("http/1.1 200 ok")
        assert "connection: close" in client.head
        assert "chunked" not in client.head
        assert "content-length" not in client.head


async def test_gzip_is_flushed_per_piece(connect: Any) -> None:
    async with ScriptedServer(RawReply(PIECES, gzip=True), Reply("x", gzip=True)) as server:
        client = await connect(server)
        await client.ask()
        await client.until(b"0\r\n\r\n")
        assert "content-encoding: gzip" in client.head
        decoder = zlib.decompressobj(wbits=31)
        assert [decoder.decompress(each) for each in client.chunks()] == [*PIECES, b"", b""]
        assert decoder.eof
        await client.ask()
        await client.until(b"0\r\n\r\n")
        body = zlib.decompress(b"".join(client.chunks()), wbits=31)
        assert body.endswith(b"data: [DONE]\n\n")


async def test_gzip_with_fin_and_with_length(connect: Any) -> None:
    cut = RawReply(PIECES, gzip=True, ending=Ending.FIN)
    whole = StatusReply(500, "onetwo", gzip=True)
    async with ScriptedServer(cut, whole) as server:
        client = await connect(server)
        await client.ask()
        await client.to_the_end()
        decoder = zlib.decompressobj(wbits=31)
        assert decoder.decompress(b"".join(client.chunks())) == b"onetwo"
        assert not decoder.eof
        client = await connect(server)
        await client.ask()
        await client.until(b"\r\n\r\n")
        length = int(client.head.partition("content-length: ")[2].split()[0])
        while len(client.body) < length:
            await client.packet()
        assert zlib.decompress(client.body, wbits=31) == b"onetwo"
