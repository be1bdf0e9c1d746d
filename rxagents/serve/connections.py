"""Bound the connections of a server, also those that send nothing.

Theory of operation. aiohttp waits without a time limit for the first request of a connection, and
takes any number of them. So each connection gets one timer when it is accepted: one that has sent
no whole head of a request by then is closed. Later requests of a connection have aiohttp's
keep-alive limit. A connection beyond the bound is closed at once: without its head there is nothing
to answer.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from rxagents.serve.limits import ServeLimits


class Connections:
    """Makes the protocols of the connections that a server accepts.

    Args:
        limits: The bounds of the server.
    """

    def __init__(self, limits: ServeLimits) -> None:
        self._limits = limits
        self._silent: set[asyncio.BaseProtocol] = set()

    def middleware(self) -> Middleware:
        """Return the middleware that notes which connections have sent a request."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._silent.discard(request.protocol)
            return await handler(request)

        return middleware

    def accept(self, server: web.Server) -> asyncio.BaseProtocol:
        """Return the protocol of a new connection."""
        if len(server.connections) >= self._limits.connections:
            return _Refused()
        protocol = server()
        self._silent.add(protocol)
        loop = asyncio.get_running_loop()
        loop.call_later(self._limits.head_seconds, self._check, protocol)
        return protocol

    def _check(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            protocol.force_close()


class _Refused(asyncio.Protocol):
    """Closes its connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
