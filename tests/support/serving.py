"""Serve an agent on a free port of this machine, and talk to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from aiohttp import web

from rxagents.serve import make_app, serve


class Served:
    """A server that runs, and a client of it.

    Attributes:
        url: The URL of the server.
        app: The application.
        task: The task that serves.
        session: The client.
    """

    def __init__(self, url: str, app: web.Application, task: asyncio.Task[None]) -> None:
        self.url = url
        self.app = app
        self.task = task
        self.session = aiohttp.ClientSession(url)

    async def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Send JSON; return the status and the JSON of the response, or its text."""
        async with self.session.post(path, json=body, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        """Return the status and the text of a response."""
        async with self.session.get(path, **options) as response:
            return response.status, await response.text()

    async def frames(self, path: str, body: Any = None, **options: Any) -> list[Any]:
        """Return the data of a stream's events."""
        method = self.session.get if body is None else self.session.post
        arguments = {} if body is None else {"json": body}
        async with method(path, **arguments, **options) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            lines = (await response.text()).split("\n")
        data = [line[6:] for line in lines if line.startswith("data: ")]
        return [each if each == "[DONE]" else json.loads(each) for each in data]


@asynccontextmanager
async def serving(agent: Any, **options: Any) -> AsyncIterator[Served]:
    """Serve an agent while the block runs."""
    app = make_app(agent, **options)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(serve(app, port=0, on_start=listening.set_result))
    waiting: list[asyncio.Future[Any]] = [listening, task]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()  # raises: it could not listen
    served = Served(listening.result(), app, task)
    try:
        yield served
    finally:
        await served.session.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
