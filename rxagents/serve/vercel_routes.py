"""The endpoint of Vercel's `useChat`, with resumption.

A chat's run goes on when its page is closed: the page's `stop()` is only a disconnect, so it cannot
be told from a reload. `POST /vercel/{id}/stop` ends the run. `GET /vercel/{id}/stream` sends the
whole message again and follows it; 204 says that no run goes on. The runs of the newest
`ServeLimits.runs` chats are known.
"""

from __future__ import annotations

from collections import OrderedDict

from aiohttp import web
from msgspec import Struct

from rxagents.operators._vercel import VercelEncoder
from rxagents.serve.encoded_run import encoded_run
from rxagents.serve.failures import RequestError
from rxagents.serve.kept_request import new_run_id
from rxagents.serve.limits import ServeLimits
from rxagents.serve.requests import read_body
from rxagents.serve.runs import Runs
from rxagents.serve.sending import SSE_HEADERS, send_stream
from rxagents.serve.ui_messages import UIMessage, decisions_of, role_dicts

_HEADERS = {**SSE_HEADERS, "X-Vercel-AI-UI-Message-Stream": "v1"}


class ChatRequest(Struct):
    """The body of a request of `useChat`."""

    id: str
    messages: list[UIMessage]


class VercelRoutes:
    """The handlers of `/vercel`.

    Args:
        runs: The server's runs.
        limits: The bounds of the server.
    """

    def __init__(self, runs: Runs, limits: ServeLimits) -> None:
        self._runs = runs
        self._limits = limits
        self._run_of_chat: OrderedDict[str, str] = OrderedDict()
        self._message_of_run: dict[str, str] = {}  # of those that go on with a message

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/vercel", self.run),
            web.get("/vercel/{id}/stream", self.resume),
            web.post("/vercel/{id}/stop", self.stop),
        ]

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Start a run for the conversation that the page sends, or go on after decisions."""
        body = await read_body(request, ChatRequest)
        last = body.messages[-1] if body.messages else None
        run_id = new_run_id()
        if last is not None and (decisions := decisions_of(last)):
            await self._runs.resume(self._run_of_chat.get(body.id, ""), decisions, run_id)
            self._message_of_run[run_id] = last.id or run_id  # the same message goes on
        else:
            messages = [message for each in body.messages for message in role_dicts(each)]
            await self._runs.start_for_page(messages, body.id, run_id, repeats=True)
        self._set_run(body.id, run_id)
        return await self._send(request, run_id)

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """Send the message of the chat's run again, and follow it."""
        run_id = self._run_of_chat.get(request.match_info["id"], "")
        if not self._runs.goes_on(run_id):
            return web.Response(status=204)
        return await self._send(request, run_id)

    async def stop(self, request: web.Request) -> web.Response:
        """End the chat's run."""
        run_id = self._run_of_chat.get(request.match_info["id"])
        if run_id is None:
            raise RequestError(404, "This chat has no run here.")
        self._runs.stop(run_id)
        return web.Response(status=202)

    def _set_run(self, chat_id: str, run_id: str) -> None:
        before = self._run_of_chat.pop(chat_id, "")
        self._message_of_run.pop(before, None)
        self._run_of_chat[chat_id] = run_id
        if len(self._run_of_chat) > self._limits.runs:
            _, oldest = self._run_of_chat.popitem(last=False)
            self._message_of_run.pop(oldest, None)

    async def _send(self, request: web.Request, run_id: str) -> web.StreamResponse:
        encoder = VercelEncoder(self._message_of_run.get(run_id, run_id))
        frames = encoded_run(self._runs.log, run_id, encoder)
        return await send_stream(request, frames, self._limits, _HEADERS, are_joined=True)
