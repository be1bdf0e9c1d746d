"""A server of the official package `mcp`, over both of its transports.

As a program it serves on the standard streams.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer

PIXEL = b"\x89PNG pixel"


class Official:
    """The server, and what its tools have seen.

    Attributes:
        server: The server.
        url: Its URL, while `running` runs it.
        hanging: Set while a call of `hang` runs.
        cancelled: Set when a call of `hang` was cancelled.
    """

    def __init__(self) -> None:
        self.server = MCPServer("official", instructions="Add with add.", log_level="CRITICAL")
        self.url = ""
        self.hanging = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._together = 0
        self._all_here = asyncio.Event()
        for function in (
            self.add,
            self.picture,
            self.structured,
            self.fail,
            self.hang,
            self.die,
            self.grow,
            self.header,
            self.meet,
            self.ask_user,
        ):
            self.server.add_tool(function)

    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def picture(self) -> list[str | Image]:
        return ["A pixel.", Image(data=PIXEL, format="png")]

    async def structured(self) -> dict[str, int]:
        return {"celsius": 3}

    async def fail(self) -> str:
        raise ValueError("secret")

    async def hang(self, ctx: Context) -> str:
        await ctx.report_progress(1, 2, "half")
        await ctx.report_progress(1.5, 2)
        self.hanging.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "over"

    async def die(self) -> str:
        os._exit(3)

    async def grow(self, ctx: Context) -> str:
        async def extra() -> str:
            return "The extra tool ran."

        self.server.add_tool(extra)
        if ctx.session.protocol_version >= "2026":
            await ctx.notify_tools_changed()
        else:
            await ctx.session.send_tool_list_changed()
        return "grown"

    async def header(self, ctx: Context) -> str:
        assert ctx.headers is not None
        return ctx.headers.get("x-key", "")

    async def meet(self, others: int) -> str:
        """Return when so many calls run at the same time."""
        self._together += 1
        if self._together == others:
            self._all_here.set()
        await self._all_here.wait()
        return "met"

    async def ask_user(self, ctx: Context) -> str:
        from pydantic import BaseModel

        class Name(BaseModel):
            name: str

        return str(await ctx.elicit("Your name?", Name))


async def end_watcher() -> None:
    """End the task that the package `sse-starlette` starts once for each loop and never ends."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == "_shutdown_watcher":
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def official_server() -> AsyncIterator[Official]:
    """Run the server over HTTP, on a free port of this machine."""
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    official = Official()
    app = official.server.streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        official.url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        async with official.server.session_manager.run():
            serving = asyncio.ensure_future(server._serve([listening]))
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.001)
            try:
                yield official
            finally:
                server.should_exit = True
                await serving
                await end_watcher()


if __name__ == "__main__":
    Official().server.run("stdio")
