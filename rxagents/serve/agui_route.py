"""The AG-UI endpoint."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from rxagents.operators.encode_agui import encode_agui
from rxagents.serve.limits import ServeLimits
from rxagents.serve.requests import read_body
from rxagents.serve.runs import Runs
from rxagents.serve.sending import send_stream

_NOT_SENT: Final = frozenset({"reasoning", "activity"})
"""Roles of the page's messages that are not of the conversation."""


class RunAgentInput(Struct, rename="camel"):
    """What is read of AG-UI's `RunAgentInput`; tools and state are the agent's own."""

    thread_id: str
    run_id: str
    messages: list[dict[str, Any]]


class AGUIRoute:
    """The handler of `/agui`.

    Args:
        runs: The server's runs.
        limits: The bounds of the server.
    """

    def __init__(self, runs: Runs, limits: ServeLimits) -> None:
        self._runs = runs
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.post("/agui", self.run)]

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Run the agent for the conversation that the client sends."""
        body = await read_body(request, RunAgentInput)
        messages = [_message(each) for each in body.messages if each.get("role") not in _NOT_SENT]
        events = self._runs.events(messages)
        frames = events.pipe(encode_agui(thread_id=body.thread_id, run_id=body.run_id))
        return await send_stream(request, frames, self._limits)


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Return an AG-UI message as a role/content dict."""
    names = {"toolCallId": "tool_call_id", "toolCalls": "tool_calls"}
    kept = {"role", "content", "name", "toolCallId", "toolCalls"}
    return {names.get(field, field): value for field, value in message.items() if field in kept}
