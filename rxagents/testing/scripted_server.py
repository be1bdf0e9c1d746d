"""Provide a server on loopback that replies from a script, over real HTTP.

Theory of operation. A request passes three stages, and only the middle one knows a wire:

    CountingServer -> ReceivedRequest -> script -> _rendered (wire_of(path)) -> RawReply -> send

`CountingServer` tracks the connections, `_rendered` converts a reply to bytes in the format of the
wire, and `faults.send` writes those bytes with the pace, framing and ending of the reply.
Tests wait for `Changes` instead of sleeping: each new request, connection or disconnect announces
itself. Leaving the context aborts every connection first; a response that waits for a client that
does not read would otherwise never end. Responses that end for that reason are no `disconnects`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Struct

from rxagents.core.errors import ConfigurationError, ToolArgumentsError
from rxagents.testing.connections import Changes, CountingServer, client_port
from rxagents.testing.delivery import COMMENT_INTERVAL, Ending
from rxagents.testing.faults import refuse, send
from rxagents.testing.rate_limit import RateLimit
from rxagents.testing.script import NoReply, RawReply, Reply, StatusReply, to_reply
from rxagents.testing.wires import wire_of


class ReceivedRequest(Struct, frozen=True):
    """A request that the server received.

    Attributes:
        method: The method, such as `"POST"`.
        path: The path with its query.
        headers: The headers, with names in lower case.
        body: The body.
        client_port: The client's port: the same for all requests of one connection.
        reused: Whether its connection has carried a request before.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_port: int
    reused: bool = False

    def json(self) -> Any:
        """Return the body, decoded from JSON."""
        return msgspec.json.decode(self.body)


ServerReply: TypeAlias = str | Reply | StatusReply | RawReply | NoReply
Script: TypeAlias = ServerReply | Callable[[ReceivedRequest], ServerReply]


class ScriptedServer:
    """A server that speaks every provider's wire, on a free port of 127.0.0.1.

    The path of a request selects the wire.

    Each request takes the next reply; the last one repeats.

    Args:
        *replies: The replies in order: each a `str`, a `Reply`, a `StatusReply`, a `RawReply`, a
            `NoReply`, or a function from the request to one of these.
        strict: Whether to respond with status 400 to a request that the provider would refuse,
            such as one with a tool result without a tool call.
        requests_per_minute: Respond with status 429 to POST requests beyond so many in 60 seconds,
            and say in `x-ratelimit-*` headers what is left. They take no reply of the script.

    Attributes:
        refusals: The number of responses with status 429 because of `requests_per_minute`.
        requests: The received requests, in order. Clearing the list starts the script anew.
        disconnects: The number of responses whose client disconnected before their end.
        port: The port that it listens on; 0 before it runs.

    Raises:
        ConfigurationError: No reply is given.

    Example:
        >>> import asyncio
        >>> from rxagents import OpenAI
        >>> async def main():
        ...     async with ScriptedServer("Hello there", Reply("Bye", interval=0.1)) as server:
        ...         async with OpenAI("any", api_key="any", base_url=server.url) as llm:
        ...             print((await llm.chat("Hi")).content)
        >>> asyncio.run(main())
        Hello there
    """

    def __init__(
        self, *replies: Script, strict: bool = False, requests_per_minute: int | None = None
    ) -> None:
        if not replies:
            raise ConfigurationError("A ScriptedServer needs a reply: ScriptedServer('Hello').")
        self.requests: list[ReceivedRequest] = []
        self.disconnects = 0
        self.refusals = 0
        self.port = 0
        self._replies: Sequence[Script] = replies
        self._strict = strict
        self._rate = None if requests_per_minute is None else RateLimit(requests_per_minute)
        self._taken = 0
        self._changes = Changes()
        self._server: CountingServer | None = None
        self._runner: web.ServerRunner | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """The base URL for the client of any provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connections(self) -> int:
        """The number of accepted connections."""
        return self._server.accepted if self._server else 0

    @property
    def open_connections(self) -> list[int]:
        """The client ports of the open connections."""
        return self._server.ports if self._server else []

    async def __aenter__(self) -> Self:
        self._stopping = False
        self._server = CountingServer(self._respond, self._changes)
        self._runner = web.ServerRunner(self._server)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        assert self._server is not None
        self._stopping = True
        for site in self._runner.sites:
            await site.stop()
        await self._server.stop()
        await self._runner.cleanup()

    async def received(self, count: int = 1) -> None:
        """Wait until `count` requests were received."""
        await self._changes.until(lambda: len(self.requests) >= count)

    async def disconnected(self, count: int = 1) -> None:
        """Wait until clients disconnected before the end of `count` responses."""
        await self._changes.until(lambda: self.disconnects >= count)

    async def connections_closed(self) -> None:
        """Wait until no connection is open."""
        await self._changes.until(lambda: not self.open_connections)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        received = await self._receive(request)
        self.requests.append(received)
        self._changes.announce()
        reply = self._reply(received)
        try:
            return await self._send(request, reply, received)
        except (asyncio.CancelledError, ConnectionError) as error:
            if not self._stopping:
                self.disconnects += 1
                self._changes.announce()
            if isinstance(error, asyncio.CancelledError):
                raise
            return web.Response()  # aiohttp requires one; it is not sent

    def _reply(self, received: ReceivedRequest) -> ServerReply:
        if self._rate is not None and received.method == "POST":
            refusal = self._rate.refusal()
            if refusal is not None:
                self.refusals += 1
                return refusal
        if len(self.requests) == 1:  # the first, or the first after `requests.clear()`
            self._taken = 0
        script = self._replies[min(self._taken, len(self._replies) - 1)]
        self._taken += 1
        return script(received) if callable(script) else script

    async def _send(
        self, request: web.BaseRequest, reply: ServerReply, received: ReceivedRequest
    ) -> web.StreamResponse:
        match reply:
            case NoReply():
                return await refuse(request, reply)
            case StatusReply():
                raw = reply.raw()
            case RawReply():
                raw = reply
            case _:
                raw = _rendered(to_reply(reply), received, strict=self._strict)
        if self._rate is not None:
            raw = self._rate.with_headers(raw)
        return await send(request, raw)

    async def _receive(self, request: web.BaseRequest) -> ReceivedRequest:
        assert self._server is not None
        reused = self._server.count_request(request) > 1
        return ReceivedRequest(
            request.method,
            request.path_qs,
            {name.lower(): value for name, value in request.headers.items()},
            await request.content.read(),
            client_port(request.transport),
            reused,
        )


_MODELS: dict[str, Any] = {"data": [{"id": "scripted"}], "models": [{"name": "models/scripted"}]}
"""The response to a GET: the list of models, in the formats of all wires."""


def _rendered(reply: Reply, request: ReceivedRequest, *, strict: bool) -> RawReply:
    if request.method == "GET":
        return StatusReply(200, _MODELS).raw()
    wire = wire_of(request.path)
    try:
        body = request.json()
        if strict:
            wire.check(body)
    except (msgspec.DecodeError, ValueError) as error:
        return StatusReply(400, wire.error_body(400, f"The request is refused: {error}.")).raw()
    try:
        pieces = wire.events(reply, str(body.get("model", "")), "scripted-1")
        wire.check_error(reply, pieces)
    except (ToolArgumentsError, ConfigurationError) as error:
        message = f"The script's reply cannot be rendered on this wire: {error}"
        return StatusReply(400, wire.error_body(400, message)).raw()
    delivery = reply.delivery()
    if reply.ending is Ending.COMPLETE and reply.error is None and wire.end:
        pieces.append(wire.end)
    if reply.ending is Ending.COMMENTS:
        pieces.append(wire.comment)
        delivery |= {"ending": Ending.ENDLESS, "interval": reply.interval or COMMENT_INTERVAL}
    return RawReply(pieces, wire.content_type, **delivery)
