"""A server on loopback that answers from a script, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Struct

from rxagents.core.errors import ConfigurationError
from rxagents.testing.chat_completions import DONE, events
from rxagents.testing.script import Ending, RawReply, Reply, StatusReply, to_reply


class ReceivedRequest(Struct, frozen=True):
    """A request as it came.

    Attributes:
        method: Such as `"POST"`.
        path: The path with its query.
        headers: Names in lower case.
        body: The body.
        client_port: The port it came from: the same for requests over one connection.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_port: int

    def json(self) -> Any:
        """Return the body, decoded."""
        return msgspec.json.decode(self.body)


ServerReply: TypeAlias = str | Reply | StatusReply | RawReply
Script: TypeAlias = ServerReply | Callable[[ReceivedRequest], ServerReply]


class ScriptedServer:
    """Speaks OpenAI's chat completions from a script, on a free port of 127.0.0.1.

    ::

        async with ScriptedServer("Hello there", Reply("Bye", interval=0.1)) as server:
            llm = OpenAI("any", api_key="any", base_url=server.url)

    Each request takes the next reply; the last one repeats.

    Args:
        *replies: What to answer, in order: a `str`, a `Reply`, a `StatusReply`, a `RawReply`,
            or a function from the request to one of these.

    Attributes:
        requests: What has come, in order.
        disconnects: How many answers the client left before they were over.
        port: Where it listens, once it runs.

    Raises:
        ConfigurationError: There is no reply.
    """

    def __init__(self, *replies: Script) -> None:
        if not replies:
            raise ConfigurationError("A ScriptedServer needs a reply: ScriptedServer('Hello').")
        self.requests: list[ReceivedRequest] = []
        self.disconnects = 0
        self._replies: Sequence[Script] = replies
        self._runner: web.ServerRunner | None = None
        self.port = 0
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """The base URL to give to the client."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        server = web.Server(self._answer, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0)
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
        await self._runner.cleanup()

    async def disconnected(self, count: int = 1) -> None:
        """Wait until clients have left `count` answers before they were over."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.disconnects >= count)

    async def received(self, count: int = 1) -> None:
        """Wait until `count` requests have come."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        received = ReceivedRequest(
            request.method,
            request.path_qs,
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            request.transport.get_extra_info("peername")[1] if request.transport else 0,
        )
        script = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(received)
        await self._notify()
        reply = script(received) if callable(script) else script
        if isinstance(reply, StatusReply):
            return _status_response(reply)
        raw = reply if isinstance(reply, RawReply) else _rendered(to_reply(reply), received)
        try:
            return await _stream(request, raw)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects += 1
            await self._notify()
            raise

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _rendered(reply: Reply, request: ReceivedRequest) -> RawReply:
    model = str(request.json().get("model", ""))
    pieces = events(reply, model, "chatcmpl-scripted")
    if reply.ending is Ending.COMPLETE and reply.error is None:
        pieces.append(DONE)
    return RawReply(pieces, delay=reply.delay, interval=reply.interval, ending=reply.ending)


def _status_response(reply: StatusReply) -> web.Response:
    body, kind = reply.body, "text/plain"
    if isinstance(body, dict):
        body, kind = msgspec.json.encode(body), "application/json"
    headers = {"content-type": kind, **{k.lower(): v for k, v in reply.headers.items()}}
    data = body.encode() if isinstance(body, str) else body
    return web.Response(status=reply.status, body=data, headers=headers)


async def _stream(request: web.BaseRequest, reply: RawReply) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": reply.content_type, **reply.headers})
    await asyncio.sleep(reply.delay)
    await response.prepare(request)
    for position, piece in enumerate(reply.pieces):
        if position and reply.interval:
            await asyncio.sleep(reply.interval)
        await response.write(piece)
    if reply.ending is Ending.STALL:
        await asyncio.Event().wait()
    elif reply.ending is Ending.RESET and request.transport is not None:
        request.transport.abort()
    return response
