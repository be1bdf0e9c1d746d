"""The server counts its connections and closes them all."""

from __future__ import annotations

import asyncio
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
    gzip_bomb,
)

FULL = b"x" * 100_000
"""Enough of these fill the socket buffer, so that a client that does not read blocks the server."""


@pytest.mark.parametrize(
    "reply",
    [
        "hello",
        *[RawReply([b"a: b\n\n"], ending=ending) for ending in Ending if ending != "comments"],
        Reply("x", ending=Ending.COMMENTS),
        Reply("x", delay=60),
        Reply("x y", interval=60),
        RawReply([FULL] * 200),
        RawReply([FULL] * 200, ending=Ending.FIN),
        RawReply([FULL] * 200, ending=Ending.RESET),
        RawReply([FULL * 200], framing=Framing.CLOSE),
        RawReply([FULL], ending=Ending.ENDLESS),
        StatusReply(500, FULL, ending=Ending.ENDLESS),
        gzip_bomb(1 << 40, block=bytes(1 << 24)),
        NoReply(Ending.STALL),
    ],
)
async def test_stop_closes_every_connection(reply: Any, connect: Any) -> None:
    async with ScriptedServer(reply) as server:
        client, _ = await connect(server), await connect(server)
        await client.ask()
        await server.received()
        for _ in range(20):
            await asyncio.sleep(0)
    assert server.open_connections == []
    assert server.disconnects == 0
    with pytest.raises((ConnectionError, AssertionError)):
        await client.until(b"there is no end to come")


async def test_open_connections_are_counted(connect: Any) -> None:
    async with ScriptedServer("x") as server:
        assert (server.connections, server.open_connections) == (0, [])
        first, second = await connect(server), await connect(server)
        for client in (first, first, second):
            await client.ask()
            await client.until(b"0\r\n\r\n")
        assert server.connections == 2
        assert sorted(server.open_connections) == sorted([first.port, second.port])
        assert [request.reused for request in server.requests] == [False, True, False]
        first.sock.close()
        closing = asyncio.ensure_future(server.connections_closed())
        assert not (await asyncio.wait({closing}, timeout=0.05))[0]
        assert server.open_connections == [second.port]
        second.sock.close()
        await closing
        assert (server.connections, server.open_connections) == (2, [])
        assert server.disconnects == 0


async def test_disconnect_is_counted_once(connect: Any) -> None:
    async with ScriptedServer(Reply("a b c", interval=0.001, ending=Ending.STALL)) as server:
        for count in (1, 2):
            client = await connect(server)
            await client.ask()
            await client.until(b"data: ")
            client.sock.close()
            await server.disconnected(count)
            await server.connections_closed()
        assert server.disconnects == 2


async def test_large_request_is_received(connect: Any) -> None:
    async with ScriptedServer(StatusReply(200, "read")) as server:
        client = await connect(server)
        large = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n" + bytes(3_000_000)
        await asyncio.get_running_loop().sock_sendall(client.sock, large)
        await client.until(b"read")
        assert len(server.requests[0].body) == 3_000_000
