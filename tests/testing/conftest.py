"""Provide a client that reads single packets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import pytest

from rxagents.testing import ScriptedServer

REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 13\r\n\r\n"
    b'{"model":"m"}'
)


class RawClient:
    """A raw connection; `received` has all data since the last request."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    @property
    def head(self) -> str:
        return self.received.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def body(self) -> bytes:
        return self.received.partition(b"\r\n\r\n")[2]

    async def ask(self) -> None:
        self.received = b""
        await asyncio.get_running_loop().sock_sendall(self.sock, REQUEST)

    async def packet(self) -> bytes:
        packet = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)
        self.received += packet
        return packet

    async def until(self, end: bytes) -> None:
        while end not in self.received:
            assert await self.packet(), f"{end!r} did not come: {self.received!r}"

    async def to_the_end(self) -> None:
        while await self.packet():
            pass

    async def is_silent(self) -> bool:
        """Return whether neither data nor the end arrives for 50 ms."""
        packet = asyncio.ensure_future(self.packet())
        done, _ = await asyncio.wait({packet}, timeout=0.05)
        packet.cancel()
        return not done

    def chunks(self) -> list[bytes]:
        """Return the chunks of the body; the last one is empty if the body has ended."""
        chunks, rest = [], self.body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            chunks.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        return chunks


Connect: TypeAlias = Callable[[ScriptedServer], Awaitable[RawClient]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a server; close the connections after the test."""
    clients: list[RawClient] = []

    async def connect(server: ScriptedServer) -> RawClient:
        sock = socket.socket()
        sock.setblocking(False)
        clients.append(RawClient(sock))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
        return clients[-1]

    yield connect
    for client in clients:
        client.sock.close()
