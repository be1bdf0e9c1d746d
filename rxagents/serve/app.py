"""Make the application that serves an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.inspect_server import listen
from rxagents.serve.agui_route import AGUIRoute
from rxagents.serve.chat_completions import ChatRoutes
from rxagents.serve.connections import Connections
from rxagents.serve.guard import (
    add_cors_header,
    checked_host,
    checked_origin,
    checked_token,
    errors_as_responses,
)
from rxagents.serve.health import HealthRoutes
from rxagents.serve.limits import ServeLimits
from rxagents.serve.mcp_route import MCPRoute
from rxagents.serve.page import PageRoutes
from rxagents.serve.requests import BODY_SECONDS
from rxagents.serve.reruns import Reruns
from rxagents.serve.responses import ResponsesRoutes
from rxagents.serve.run_routes import RunRoutes
from rxagents.serve.runs import Runs
from rxagents.serve.vercel_routes import VercelRoutes


def make_app(
    agent: Any,
    *,
    log: EventLog | None = None,
    token: str | None = None,
    cors: Sequence[str] = (),
    name: str = "agent",
    limits: ServeLimits | None = None,
    inspect: bool = False,
    rerun: bool = False,
    mcp: bool = False,
) -> web.Application:
    """Return an aiohttp application that serves an agent.

    Run it with `rxagents.serve.serve`, or with `web.run_app(app, handler_cancellation=True)`: only
    then does a client that leaves before the first token end its run at once.

    Args:
        agent: An object with `run_stream(task)`, or a function that returns one for each run.
        log: Keeps the runs of `/runs` and `/vercel`; by default in memory. The application closes
            it.
        token: What clients send as `Authorization: Bearer …`; no check by default.
        cors: The origins whose pages may call the server from a browser, such as
            `"https://example.org"`; `"*"` is any. By default only pages of the server's own origin
            may.
        name: The name of the agent in `/v1/models` and on the chat page.
        limits: The bounds of the server.
        inspect: Whether each run has a probe with the name of the agent, and `rxagents top` of the
            same user may look at them.
        rerun: Whether to ask again the whole run whose process was lost, as another attempt of it;
            its tools run again. By default such a run ends as interrupted.
        mcp: Whether clients of MCP may call the agent as a tool, at `/mcp` over streamable HTTP; it
            needs the extra `mcp`.

    Raises:
        ConfigurationError: An argument is not usable.
    """
    limits = limits or ServeLimits()
    probed = name if inspect else None
    runs = Runs(_maker(agent), log or EventLog(), limits, probed)
    connections = Connections(limits)
    guards: list[Middleware] = [
        connections.middleware(),
        errors_as_responses(),
        checked_origin(cors),
    ]
    if token is None:
        guards.append(checked_host(cors))
    else:
        guards.append(checked_token(_checked_token(token)))
    app = web.Application(middlewares=guards, client_max_size=limits.body_bytes)
    app[RUNS], app[LIMITS], app[CONNECTIONS] = runs, limits, connections
    app[BODY_SECONDS] = limits.body_seconds
    for routes in (
        HealthRoutes(runs),
        PageRoutes(runs, name),
        RunRoutes(runs, limits),
        ChatRoutes(runs, limits, name),
        ResponsesRoutes(runs, limits, name),
        AGUIRoute(runs, limits),
        VercelRoutes(runs, limits),
    ):
        app.add_routes(routes.routes())
    if mcp:
        route = MCPRoute(runs, limits, name)
        app.add_routes(route.routes())
        app.on_startup.append(route.start)
        app.on_shutdown.append(route.stop)
    app.on_response_prepare.append(add_cors_header)
    app.cleanup_ctx.append(_with_reruns if rerun else _with_log)
    if inspect:
        app.on_startup.append(_listen)
    return app


RUNS: web.AppKey[Runs] = web.AppKey("runs", Runs)
LIMITS: web.AppKey[ServeLimits] = web.AppKey("limits", ServeLimits)
CONNECTIONS: web.AppKey[Connections] = web.AppKey("connections", Connections)


async def _with_log(app: web.Application) -> AsyncIterator[None]:
    """Mark the runs that another process has lost, and close the log at the end."""
    await app[RUNS].log.mark_interrupted()
    yield
    await app[RUNS].log.aclose()


async def _with_reruns(app: web.Application) -> AsyncIterator[None]:
    """Ask again the runs that other processes lose, and close the log at the end."""
    reruns = Reruns(app[RUNS])
    await reruns.start()
    yield
    await reruns.aclose()
    await app[RUNS].log.aclose()


async def _listen(_: web.Application) -> None:
    listen()


def _maker(agent: Any) -> Callable[[], Any]:
    if callable(getattr(agent, "run_stream", None)) and not isinstance(agent, type):
        return lambda: agent
    if callable(agent):
        return lambda: _made(agent)
    raise ConfigurationError(
        f"agent must be an object with run_stream, or a function that returns one, not "
        f"{type(agent).__name__}."
    )


def _made(make: Callable[[], Any]) -> Any:
    agent = make()
    if callable(getattr(agent, "run_stream", None)):
        return agent
    raise TypeError(
        f"{getattr(make, '__name__', make)} must return an object with run_stream, not "
        f"{type(agent).__name__}."
    )


def _checked_token(token: str) -> str:
    if not isinstance(token, str) or not token.strip() or not token.isprintable():
        raise ConfigurationError("token must be a text of printable characters.")
    return token
