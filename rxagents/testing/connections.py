"""Count the connections of a server, and close them all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec import Struct


class Changes:
    """Lets tasks wait for a condition that other tasks make true."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Make the waiting tasks check their condition again."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until the condition is true; the code that changes it calls `announce`."""
        while not is_true():
            await self._next.wait()


def client_port(transport: asyncio.Transport | None) -> int:
    """Return the port of the client; 0 if the client has disconnected."""
    peer = transport.get_extra_info("peername") if transport else None
    return int(peer[1]) if peer else 0


class _Connection(Struct):
    transport: asyncio.Transport
    requests: int = 0


class CountingServer(web.Server):
    """A server that counts its connections and can close all of them at once.

    Args:
        respond: Responds to a request; it is cancelled when the client disconnects.
        changes: Announces that a connection was opened or closed.

    Attributes:
        accepted: The number of connections that were accepted.
    """

    def __init__(
        self, respond: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], changes: Changes
    ) -> None:
        super().__init__(respond, handler_cancellation=True, access_log=None)
        self.accepted = 0
        self._changes = changes
        self._open: dict[web.RequestHandler, _Connection] = {}
        self._stopped = False

    @property
    def ports(self) -> list[int]:
        """The client ports of the open connections."""
        return [client_port(connection.transport) for connection in self._open.values()]

    def count_request(self, request: web.BaseRequest) -> int:
        """Count a request; return the number of requests of its connection so far."""
        connection = self._open.get(request.protocol)
        if connection is None:
            return 1
        connection.requests += 1
        return connection.requests

    async def stop(self) -> None:
        """Close every connection and cancel its response."""
        self._stopped = True
        for connection in list(self._open.values()):
            connection.transport.abort()
        await self._changes.until(lambda: not self._open)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Register a connection; close it at once if the server has stopped."""
        super().connection_made(handler, transport)
        self.accepted += 1
        self._open[handler] = _Connection(transport)
        if self._stopped:
            transport.abort()
        self._changes.announce()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Remove a closed connection."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._changes.announce()
