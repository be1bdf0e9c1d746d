"""The connections that a server holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec import Struct


class Changes:
    """Lets tasks wait for what others bring about."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Let those who wait look again."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until something is true; whoever changes it announces it."""
        while not is_true():
            await self._next.wait()


def client_port(transport: asyncio.Transport | None) -> int:
    """Return the port of the client; 0 if it has gone."""
    peer = transport.get_extra_info("peername") if transport else None
    return int(peer[1]) if peer else 0


class _Connection(Struct):
    transport: asyncio.Transport
    requests: int = 0


class CountingServer(web.Server):
    """Counts its connections, and can end all of them at once.

    Args:
        answer: Answers a request; cancelled when its client leaves.
        changes: Where it announces that a connection came or went.

    Attributes:
        accepted: How many connections there have been.
    """

    def __init__(
        self, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], changes: Changes
    ) -> None:
        super().__init__(answer, handler_cancellation=True, access_log=None)
        self.accepted = 0
        self._changes = changes
        self._open: dict[web.RequestHandler, _Connection] = {}
        self._stopped = False

    @property
    def ports(self) -> list[int]:
        """The client's port of each connection that is open."""
        return [client_port(each.transport) for each in self._open.values()]

    def count_request(self, request: web.BaseRequest) -> int:
        """Count a request; return how many its connection has had with it."""
        connection = self._open.get(request.protocol)
        if connection is None:
            return 1
        connection.requests += 1
        return connection.requests

    async def stop(self) -> None:
        """End every connection, whatever it is about; its answer is cancelled."""
        self._stopped = True
        for connection in list(self._open.values()):
            connection.transport.abort()
        await self._changes.until(lambda: not self._open)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection; one that comes too late is ended."""
        super().connection_made(handler, transport)
        self.accepted += 1
        self._open[handler] = _Connection(transport)
        if self._stopped:
            transport.abort()
        self._changes.announce()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Note that a connection is gone."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._changes.announce()
