"""Each fault is on the wire what it says."""

from __future__ import annotations

import zlib
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


def test_a_reset_is_one_and_comes_behind_what_was_sent(run_async: Any, connect: Any) -> None:
    async def check() -> None:
        async with ScriptedServer(RawReply(PIECES, ending=Ending.RESET)) as server:
            client = await connect(server)
            await client.ask()
            with pytest.raises(ConnectionResetError):
                await client.to_the_end()
            assert client.body == CHUNKED
            assert server.disconnects == 0

    run_async(check())


def test_a_fin_is_a_clean_end_inside_of_the_body(run_async: Any, connect: Any) -> None:
    async def check() -> None:
        async with ScriptedServer(RawReply(PIECES, ending=Ending.FIN)) as server:
            client = await connect(server)
            await client.ask()
            await client.to_the_end()
            assert client.body == CHUNKED
            assert "transfer-encoding: chunked" in client.head

    run_async(check())


@pytest.mark.parametrize(
    "reply",
    [
        RawReply(PIECES, framing=Framing.LENGTH, ending=Ending.FIN),
        StatusReply(200, b"onetwo", ending=Ending.FIN),
        StatusReply(200, b"onetwo", ending=Ending.FIN, write_size=2),
    ],
)
def test_a_short_body_ends_before_the_length_it_announced(
    reply: Any, run_async: Any, connect: Any
) -> None:
    async def check() -> None:
        async with ScriptedServer(reply) as server:
            client = await connect(server)
            await client.ask()
            await client.to_the_end()
            assert client.body == b"onetwo"
            assert "content-length: 1006" in client.head

    run_async(check())


def test_a_bad_chunk_arrives_alone_and_the_connection_stays(run_async: Any, connect: Any) -> None:
    async def check() -> None:
        async with ScriptedServer(RawReply(PIECES, ending=Ending.BAD_CHUNK)) as server:
            client = await connect(server)
            await client.ask()
            await client.until(CHUNKED)
            assert client.body == CHUNKED
            assert await client.packet() == b"no size\r\n"
            assert await client.is_silent()

    run_async(check())


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
def test_a_stall_is_silent_after_what_was_sent(
    reply: Any, body: bytes, run_async: Any, connect: Any
) -> None:
    async def check() -> None:
        async with ScriptedServer(reply) as server:
            client = await connect(server)
            await client.ask()
            await client.until(b"\r\n\r\n" + body)
            assert await client.is_silent()
            assert client.body == body
            client.sock.close()
            await server.disconnected()

    run_async(check())


@pytest.mark.parametrize(
    "reply",
    [NoReply(Ending.STALL), NoReply(delay=60), Reply("x", delay=60), StatusReply(500, delay=60)],
)
def test_a_stall_may_come_before_the_headers(reply: Any, run_async: Any, connect: Any) -> None:
    async def check() -> None:
        async with ScriptedServer(reply) as server:
            client = await connect(server)
            await client.ask()
            await server.received()
            assert await client.is_silent()
            client.sock.close()
            await server.disconnected()

    run_async(check())


def test_no_reply_is_not_a_byte(run_async: Any, connect: Any) -> None:
    async def check() -> None:
        replies = [NoReply(), NoReply(Ending.RESET)]
        async with ScriptedServer(*replies) as server:
            closed, reset = [await connect(server) for _ in replies]
            await closed.ask()
            assert await closed.packet() == b""
            await reset.ask()
            with pytest.raises(ConnectionResetError):
                await reset.packet()
            assert server.disconnects == 0

    run_async(check())


def test_a_stale_connection_is_hung_up_on_and_a_fresh_one_answered(
    run_async: Any, connect: Any
) -> None:
    async def check() -> None:
        async with ScriptedServer(lambda r: NoReply() if r.reused else "hello") as server:
            for _ in range(2):
                client = await connect(server)
                await client.ask()
                await client.until(b"0\r\n\r\n")
                await client.ask()
                assert await client.packet() == b""
            assert [request.reused for request in server.requests] == [False, True] * 2

    run_async(check())


def test_a_drip_is_a_few_bytes_at_a_time(run_async: Any, connect: Any) -> None:
    async def check() -> None:
        reply = RawReply([b"ab", b"cdefg"], write_size=2, interval=0.001)
        async with ScriptedServer(reply) as server:
            client = await connect(server)
            await client.ask()
            await client.until(b"0\r\n\r\n")
            assert client.chunks() == [b"ab", b"cd", b"ef", b"g", b""]

    run_async(check())


def test_comments_alone_go_on(run_async: Any, connect: Any) -> None:
    async def check() -> None:
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

    run_async(check())


@pytest.mark.parametrize(
    "reply",
    [
        RawReply(PIECES, ending=Ending.ENDLESS, framing=Framing.CLOSE),
        RawReply(PIECES, ending=Ending.ENDLESS),
        StatusReply(500, "two", ending=Ending.ENDLESS),
    ],
)
def test_an_endless_body_repeats_its_last_piece_until_the_client_leaves(
    reply: Any, run_async: Any, connect: Any
) -> None:
    async def check() -> None:
        async with ScriptedServer(reply) as server:
            client = await connect(server)
            await client.ask()
            while client.received.count(b"two") < 100:
                await client.packet()
            assert client.received.count(b"one") <= 1
            client.sock.close()
            await server.disconnected()

    run_async(check())


def test_a_body_may_end_with_its_connection(run_async: Any, connect: Any) -> None:
    async def check() -> None:
        async with ScriptedServer(RawReply(PIECES, framing=Framing.CLOSE)) as server:
            client = await connect(server)
            await client.ask()
            await client.to_the_end()
            assert client.body == b"onetwo"
            assert client.head.startswith("http/1.1 200 ok")
            assert "connection: close" in client.head
            assert "chunked" not in client.head
            assert "content-length" not in client.head

    run_async(check())


def test_gzip_is_flushed_piece_by_piece(run_async: Any, connect: Any) -> None:
    async def check() -> None:
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

    run_async(check())


def test_gzip_that_is_cut_has_no_end_and_with_a_length_has_its_own(
    run_async: Any, connect: Any
) -> None:
    async def check() -> None:
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

    run_async(check())
