"""Say how the server does, for load balancers and for Prometheus."""

from __future__ import annotations

from aiohttp import web

from rxagents.serve.failures import json_response
from rxagents.serve.runs import Runs


class HealthRoutes:
    """The handlers of `/health`, `/ready` and `/metrics`.

    Args:
        runs: The server's runs.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Say that the process is alive."""
        return json_response({"status": "ok"})

    async def ready(self, _: web.Request) -> web.Response:
        """Say whether another run fits: 503 if none does, or if the server is being stopped."""
        has_room = self._runs.has_room
        return json_response({"status": "ready" if has_room else "busy"}, 200 if has_room else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        """Return counts in Prometheus's text format 0.0.4."""
        lines = [
            "# TYPE rxagents_runs_started_total counter",
            f"rxagents_runs_started_total {self._runs.started}",
            "# TYPE rxagents_runs gauge",
            f"rxagents_runs {self._runs.going_on}",
        ]
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(text="\n".join(lines) + "\n", headers=headers)
