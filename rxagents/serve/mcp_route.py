"""Serve the agent at `/mcp`, over the streamable HTTP of MCP.

Theory of operation. The package `mcp` speaks ASGI at every level of its HTTP transports, and this
server is an application of aiohttp, whose guards, bounds and drain hold for all endpoints. So one
request of aiohttp is one call of the package's ASGI application here: the body is read first, with
the bounds of all bodies; what the application sends is written with the bound of slow clients; a
client that leaves cancels the handler.

The application runs in a task of its own, which is not cancelled with the handler but gets the
message `http.disconnect`, as from every server of ASGI. The package needs that: a client closes the
response to its first request as soon as it has read it, and a session whose first request was
cancelled would be dropped. It cancels the call of a client that leaves by itself, where the
version of the protocol says so.

Sessions of older clients, whose calls are cancelled by another request, live in the session manager
of the package; `Owner` holds it open while the server runs. A call counts as a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectionResetError, web
from reactivex import Observable

from rxagents.core.errors import ToolError
from rxagents.core.events import StreamEvent
from rxagents.mcp.owner import Owner
from rxagents.mcp.server import as_mcp_tool, mcp_server
from rxagents.serve.failures import RequestError
from rxagents.serve.limits import ServeLimits
from rxagents.serve.requests import read_bytes
from rxagents.serve.runs import Runs

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class MCPRoute:
    """The handler of `/mcp`.

    Args:
        runs: The server's runs.
        limits: The bounds of the server.
        name: The name of the agent, and of its tool.

    Raises:
        ConfigurationError: The package `mcp` is not installed.
    """

    def __init__(self, runs: Runs, limits: ServeLimits, name: str) -> None:
        server = mcp_server(as_mcp_tool(_counted(runs), name), name=name)
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        self._manager: StreamableHTTPSessionManager = StreamableHTTPSessionManager(
            server, max_request_body_size=limits.body_bytes, max_sessions=limits.connections
        )
        self._limits = limits
        self._owner: Owner[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.route(method, "/mcp", self.handle) for method in ("GET", "POST", "DELETE")]

    async def start(self, _: web.Application) -> None:
        """Start the session manager; a signal of the application."""
        self._owner = Owner(self._manager.run())
        await self._owner.start()

    async def stop(self, _: web.Application) -> None:
        """End all sessions; a signal of the application."""
        if self._owner is not None:
            await self._owner.aclose()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        exchange = _Exchange(request, await read_bytes(request), self._limits)
        answering = asyncio.create_task(
            self._manager.handle_request(exchange.scope(), exchange.receive, exchange.send)
        )
        try:
            await asyncio.wait([answering])
        except asyncio.CancelledError:
            exchange.has_left.set()
            await asyncio.wait([answering], timeout=self._limits.drain_seconds)
            if answering.cancel() or answering.cancelled():
                raise
            _ = answering.exception()  # retrieved: nobody is left to get it
            raise
        try:
            answering.result()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()  # it reads nothing
        if exchange.response is None:
            raise RequestError(500, "The request got no response.")
        return exchange.response


class _Exchange:
    """One request of aiohttp as ASGI has it.

    Attributes:
        response: The response; `None` before it begins.
        has_left: Set when the client has left.
    """

    def __init__(self, request: web.Request, body: bytes, limits: ServeLimits) -> None:
        self.response: web.StreamResponse | None = None
        self.has_left = asyncio.Event()
        self._request = request
        self._body: bytes | None = body
        self._limits = limits

    def scope(self) -> dict[str, Any]:
        """Return the scope."""
        request = self._request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": f"{request.version.major}.{request.version.minor}",
            "method": request.method,
            "scheme": request.scheme,
            "path": request.path,
            "raw_path": request.raw_path.encode(),
            "root_path": "",
            "query_string": request.query_string.encode(),
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
            "client": None,
            "server": None,
        }

    async def receive(self) -> dict[str, Any]:
        """Return the body; afterwards wait until the client has left."""
        if self._body is None:
            await self.has_left.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """Write what the application sends; nothing once the client has left.

        Raises:
            TimeoutError: The client does not read.
        """
        with suppress(ClientConnectionResetError):
            if not self.has_left.is_set():
                await self._write(message)

    async def _write(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.response = response = web.StreamResponse(status=message["status"])
            for name, value in message.get("headers", ()):
                if name.lower() != b"connection":  # aiohttp's own
                    response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
            await response.prepare(self._request)
            return
        assert self.response is not None, "the application starts its response first"
        async with asyncio.timeout(self._limits.write_seconds):
            await self.response.write(message.get("body", b""))
            if not message.get("more_body", False):
                await self.response.write_eof()


def _counted(runs: Runs) -> Callable[[str], Observable[StreamEvent]]:
    def run_stream(task: str) -> Observable[StreamEvent]:
        try:
            return runs.events(task)
        except RequestError as error:
            raise ToolError(str(error)) from error

    return run_stream
