"""The routes of runs that readers join, leave and come back to."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec import Struct

from rxagents.core.approval import Approve, Decision, Deny
from rxagents.serve.failures import json_response
from rxagents.serve.kept_request import new_run_id
from rxagents.serve.limits import ServeLimits
from rxagents.serve.requests import read_body
from rxagents.serve.run_frames import run_frames
from rxagents.serve.runs import Runs
from rxagents.serve.sending import send_stream


class RunRequest(Struct, forbid_unknown_fields=True):
    """Start a run.

    Attributes:
        task: What the user says, or the whole conversation as role/content objects.
        conversation_id: The conversation, for an agent that has conversations.
    """

    task: str | list[dict[str, Any]]
    conversation_id: str | None = None


class SteerRequest(Struct, forbid_unknown_fields=True):
    """Add a message to a run; with `now`, end the present turn."""

    text: str
    now: bool = False


class DecisionRequest(Struct, forbid_unknown_fields=True):
    """Decide about one call that waits."""

    approved: bool
    arguments: dict[str, Any] | None = None
    reason: str = ""


class ApproveRequest(Struct, forbid_unknown_fields=True):
    """Decide about all calls of a run that wait, by call id."""

    decisions: dict[str, DecisionRequest]


class RunRoutes:
    """The handlers of `/runs`.

    Args:
        runs: The server's runs.
        limits: The bounds of the server.
    """

    def __init__(self, runs: Runs, limits: ServeLimits) -> None:
        self._runs = runs
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/runs", self.start),
            web.get("/runs/{id}/events", self.events),
            web.post("/runs/{id}/stop", self.stop),
            web.post("/runs/{id}/steer", self.steer),
            web.post("/runs/{id}/approve", self.approve),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Start a run; the response has its id. A key makes it safe to ask again."""
        body = await read_body(request, RunRequest)
        key = request.headers.get("Idempotency-Key")
        return json_response(
            {"id": await self._runs.start(body.task, body.conversation_id, key)}, 201
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send the events of a run from `Last-Event-ID` on, and follow it to its end."""
        run_id = request.match_info["id"]
        after = request.headers.get("Last-Event-ID") or request.query.get("after")
        if not await self._runs.log.has_more(run_id, after):
            return web.Response(status=204)  # an EventSource does not connect again after it
        frames = run_frames(self._runs.log, run_id, after)
        retry = b"retry: %d\n\n" % round(self._limits.retry_seconds * 1000)
        return await send_stream(request, frames, self._limits, opening=retry, are_joined=True)

    async def stop(self, request: web.Request) -> web.Response:
        """End a run with what there is."""
        self._runs.stop(request.match_info["id"])
        return web.Response(status=202)

    async def steer(self, request: web.Request) -> web.Response:
        """Add a message that the model sees in its next turn."""
        body = await read_body(request, SteerRequest)
        self._runs.steer(request.match_info["id"], body.text, now=body.now)
        return web.Response(status=202)

    async def approve(self, request: web.Request) -> web.Response:
        """Decide about the calls that wait; the response has the id of the run that goes on."""
        body = await read_body(request, ApproveRequest)
        decisions = {call_id: _decision(each) for call_id, each in body.decisions.items()}
        resumed = new_run_id()
        await self._runs.resume(request.match_info["id"], decisions, resumed)
        return json_response({"id": resumed}, 201)


def _decision(request: DecisionRequest) -> Decision:
    if not request.approved:
        return Deny(request.reason)
    return Approve(request.arguments)
