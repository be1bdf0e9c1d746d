"""The AG-UI endpoint, with answers to interrupts and with reconnection.

Each run is one that the event log keeps. It ends when its client leaves, because an AG-UI client
has no other way to stop it. With `?keep=true` it goes on: a client that comes back reads the
thread's run again with `GET /agui/{thread}/stream`, from the event after `Last-Event-ID` on. The
ids count the events of the run; encoding its log again gives the same events, so none is kept
twice. The runs of the newest `ServeLimits.runs` threads are known.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from typing import Any, NamedTuple

from aiohttp import web
from msgspec import Struct

from rxagents.operators._agui import AGUIEncoder
from rxagents.serve.agui_input import ResumeEntry, decisions_of, role_dicts
from rxagents.serve.encoded_run import encoded_run
from rxagents.serve.failures import RequestError
from rxagents.serve.kept_request import new_run_id
from rxagents.serve.limits import ServeLimits
from rxagents.serve.requests import read_body
from rxagents.serve.runs import Runs
from rxagents.serve.sending import send_stream


class RunAgentInput(Struct, rename="camel"):
    """The fields of AG-UI's `RunAgentInput` that are read; tools and state are the agent's own."""

    thread_id: str
    run_id: str
    messages: list[dict[str, Any]]
    resume: list[ResumeEntry] | None = None


class _ThreadRun(NamedTuple):
    """The newest run of a thread: its key in the log, and its id in the protocol."""

    key: str
    run_id: str


class AGUIRoute:
    """The handlers of `/agui`.

    Args:
        runs: The server's runs.
        limits: The bounds of the server.
    """

    def __init__(self, runs: Runs, limits: ServeLimits) -> None:
        self._runs = runs
        self._limits = limits
        self._run_of_thread: OrderedDict[str, _ThreadRun] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/agui", self.run),
            web.get("/agui/{thread}/stream", self.follow),
            web.post("/agui/{thread}/stop", self.stop),
        ]

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Run the agent for the conversation that the client sends, or go on after interrupts."""
        body = await read_body(request, RunAgentInput)
        key, is_kept = new_run_id(), request.query.get("keep") == "true"
        try:
            if body.resume:
                before = self._run_of_thread.get(body.thread_id)
                waiting, decisions = before.key if before else "", decisions_of(body.resume)
                await self._runs.resume(waiting, decisions, key, repeats=is_kept)
            else:
                messages = [each for written in body.messages for each in role_dicts(written)]
                await self._runs.start_for_page(messages, body.thread_id, key, repeats=is_kept)
            run = self._set_run(body.thread_id, _ThreadRun(key, body.run_id))
            return await self._send(request, body.thread_id, run)
        finally:
            if not is_kept and self._runs.goes_on(key):
                self._runs.stop(key)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Send the thread's run again from `Last-Event-ID` on, and follow it."""
        thread_id = request.match_info["thread"]
        run = self._run_of_thread.get(thread_id)
        if run is None:
            return web.Response(status=204)
        return await self._send(request, thread_id, run)

    async def stop(self, request: web.Request) -> web.Response:
        """End the thread's run with what there is."""
        run = self._run_of_thread.get(request.match_info["thread"])
        if run is None:
            raise RequestError(404, "This thread has no run here.")
        self._runs.stop(run.key)
        return web.Response(status=202)

    def _set_run(self, thread_id: str, run: _ThreadRun) -> _ThreadRun:
        self._run_of_thread.pop(thread_id, None)
        self._run_of_thread[thread_id] = run
        if len(self._run_of_thread) > self._limits.runs:
            self._run_of_thread.popitem(last=False)
        return run

    async def _send(
        self, request: web.Request, thread_id: str, run: _ThreadRun
    ) -> web.StreamResponse:
        after = request.headers.get("Last-Event-ID", "0")
        if not after.isdecimal() or len(after) > 18:
            raise RequestError(400, "Last-Event-ID must be the number of events that were read.")
        protocol_run = run.run_id or f"run_{uuid.uuid4().hex}"
        encoder = AGUIEncoder(thread_id or f"thread_{uuid.uuid4().hex}", protocol_run)
        frames = encoded_run(self._runs.log, run.key, encoder, int(after))
        return await send_stream(request, frames, self._limits, are_joined=True)
