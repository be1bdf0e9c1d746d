"""A server that writes the given bytes, packet by packet, and misbehaves on cue."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
from collections.abc import Sequence
from enum import Enum
from types import TracebackType
from typing import Self, TypeAlias


class Cue(Enum):
    """What a server does between the bytes it writes."""

    PAUSE = "let what was written travel as packets of its own"
    FIN = "close the connection"
    RESET = "reset the connection"
    STALL = "write nothing more, and wait for the client to leave"
    REPEAT = "write the bytes before this until the client leaves"


Step: TypeAlias = bytes | Cue
Act: TypeAlias = Sequence[Step]
"""What becomes of one request. At its end the connection serves the next request."""

PACKET_SECONDS = 0.005

_REPEATS = 50


class FaultyServer:
    """Plays one act for each request, in order; the last act repeats.

    Args:
        *acts: What becomes of each request.
        tls: Speak TLS, with the certificate it holds.

    Attributes:
        requests: The heads and bodies of the requests that came.
        accepted: How many connections came.
        received: Set once there is a request.
        port: Where it listens.
    """

    def __init__(self, *acts: Act, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.accepted = 0
        self.received = asyncio.Event()
        self.port = 0
        self._acts = acts
        self._tls = tls
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL to give to the client."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def all_left(self) -> None:
        """Wait until every connection is over, as both sides see it."""
        while self._connections:
            await asyncio.wait(self._connections)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.accepted += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._serve(reader, writer):
                    """The connection is kept."""
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
        act = self._acts[min(len(self.requests), len(self._acts) - 1)]
        self.requests.append((head, body))
        self.received.set()
        before = b""
        for step in act:
            match step:
                case bytes():
                    before = step
                    writer.write(step)
                    await writer.drain()
                case Cue.PAUSE:
                    await asyncio.sleep(PACKET_SECONDS)
                case Cue.FIN:
                    return False
                case Cue.RESET:
                    _reset(writer)
                    return False
                case Cue.STALL:
                    await reader.read()
                    return False
                case Cue.REPEAT:
                    await _repeat(before, reader, writer)
                    return False
        return True


async def _repeat(data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    left = asyncio.ensure_future(reader.read())
    try:
        for count in itertools.count(1):
            if left.done():
                break
            writer.write(data)
            await writer.drain()
            # Without a pause a virtual clock would stand still, and no timeout would ever come.
            await asyncio.sleep(0 if count % _REPEATS else PACKET_SECONDS)
    finally:
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST in place of a FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
