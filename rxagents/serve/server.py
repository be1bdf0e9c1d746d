"""Run the application until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from aiohttp import web

from rxagents.serve.app import CONNECTIONS, LIMITS, RUNS


async def serve(
    app: web.Application,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_start: Callable[[str], object] | None = None,
) -> None:
    """Serve an application of `make_app` until the task is cancelled, then drain it.

    When it is cancelled, the server takes no further runs, and waits `ServeLimits.drain_seconds`
    for those that go on. Then it ends them with what there is.

    Args:
        app: The application.
        host: The address to listen on: this machine only, unless you say otherwise.
        port: The port; 0 for a free one.
        on_start: Called with the server's URL when it listens.

    Raises:
        OSError: The server cannot listen on this address.
    """
    runs, limits = app[RUNS], app[LIMITS]
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=limits.drain_seconds
    )
    await runner.setup()
    server = runner.server
    assert server is not None, "setup makes the server"
    listener: asyncio.Server | None = None
    try:
        accept = partial(app[CONNECTIONS].accept, server)
        listener = await asyncio.get_running_loop().create_server(accept, host, port, backlog=1024)
        if on_start is not None:
            listening = listener.sockets[0].getsockname()[1]
            on_start(f"http://{f'[{host}]' if ':' in host else host}:{listening}")
        await asyncio.Event().wait()
    finally:
        await runs.drain(limits.drain_seconds)
        if listener is not None:
            listener.close()
        await runner.cleanup()
