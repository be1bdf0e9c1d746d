"""A server on loopback that answers from a script, over real HTTP."""

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
from rxagents.testing.script import NoReply, RawReply, Reply, StatusReply, to_reply
from rxagents.testing.wires import wire_of


class ReceivedRequest(Struct, frozen=True):
    """A request as it came.

    Attributes:
        method: Such as `"POST"`.
        path: The path with its query.
        headers: Names in lower case.
        body: The body.
        client_port: The port it came from: the same for requests over one connection.
        reused: Whether its connection has had a request before.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_port: int
    reused: bool = False

    def json(self) -> Any:
        """Return the body, decoded."""
        return msgspec.json.decode(self.body)


ServerReply: TypeAlias = str | Reply | StatusReply | RawReply | NoReply
Script: TypeAlias = ServerReply | Callable[[ReceivedRequest], ServerReply]


class ScriptedServer:
    """Speaks every provider's wire from a script, on a free port of 127.0.0.1.

    The path of a request tells its wire.

    ::

        async with ScriptedServer("Hello there", Reply("Bye", interval=0.1)) as server:
            llm = OpenAI("any", api_key="any", base_url=server.url)

    Each request takes the next reply; the last one repeats.

    Args:
        *replies: What to answer, in order: a `str`, a `Reply`, a `StatusReply`, a `RawReply`, a
            `NoReply`, or a function from the request to one of these.
        strict: Answer a request that the provider would refuse, such as one with a tool's result
            that no call came before, with status 400 as the provider does.

    Attributes:
        requests: What has come, in order.
        disconnects: How many answers the client left before they were over.
        port: Where it listens, once it runs.

    Raises:
        ConfigurationError: There is no reply.
    """

    def __init__(self, *replies: Script, strict: bool = False) -> None:
        if not replies:
            raise ConfigurationError("A ScriptedServer needs a reply: ScriptedServer('Hello').")
        self.requests: list[ReceivedRequest] = []
        self.disconnects = 0
        self.port = 0
        self._replies: Sequence[Script] = replies
        self._strict = strict
        self._changes = Changes()
        self._server: CountingServer | None = None
        self._runner: web.ServerRunner | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """The base URL to give to the client, whichever provider it is for."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._server.accepted if self._server else 0

    @property
    def open_connections(self) -> list[int]:
        """The client's port of each connection that is open now."""
        return self._server.ports if self._server else []

    async def __aenter__(self) -> Self:
        self._stopping = False
        self._server = CountingServer(self._answer, self._changes)
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
        """Wait until `count` requests have come."""
        await self._changes.until(lambda: len(self.requests) >= count)

    async def disconnected(self, count: int = 1) -> None:
        """Wait until clients have left `count` answers before they were over."""
        await self._changes.until(lambda: self.disconnects >= count)

    async def connections_closed(self) -> None:
        """Wait until no connection is open."""
        await self._changes.until(lambda: not self.open_connections)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        received = await self._receive(request)
        script = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(received)
        self._changes.announce()
        reply = script(received) if callable(script) else script
        try:
            return await self._send(request, reply, received)
        except (asyncio.CancelledError, ConnectionError) as error:
            if not self._stopping:
                self.disconnects += 1
                self._changes.announce()
            if isinstance(error, asyncio.CancelledError):
                raise
            return web.Response()  # aiohttp wants one; nobody gets it

    async def _send(
        self, request: web.BaseRequest, reply: ServerReply, received: ReceivedRequest
    ) -> web.StreamResponse:
        match reply:
            case NoReply():
                return await refuse(request, reply)
            case StatusReply():
                return await send(request, reply.raw())
            case RawReply():
                return await send(request, reply)
        return await send(request, _rendered(to_reply(reply), received, strict=self._strict))

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
"""The list of models, in the forms of all wires: what a GET that asks for no reply is for."""


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
    except ToolArgumentsError as error:
        message = f"The script's reply cannot be told on this wire: {error}"
        return StatusReply(400, wire.error_body(400, message)).raw()
    delivery = reply.delivery()
    if reply.ending is Ending.COMPLETE and reply.error is None and wire.end:
        pieces.append(wire.end)
    if reply.ending is Ending.COMMENTS:
        pieces.append(wire.comment)
        delivery |= {"ending": Ending.ENDLESS, "interval": reply.interval or COMMENT_INTERVAL}
    return RawReply(pieces, wire.content_type, **delivery)
