"""Serve a small site, and call the HTTP tool as a model does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rxagents import Tool, ToolContext, ToolError
from rxagents.tools import http_request_tool

OPEN = http_request_tool(allow_private=True)
KEY = "sk-the-key"

REFUSED = re.compile("not on the public internet|Invalid host name|Unknown host")
"""aiohttp rejects some spellings of addresses itself, before the tool checks them."""


class Site:
    """A server on the loopback address that answers from a table of paths.

    Attributes:
        requests: The heads and bodies of the received requests.
        connections: The number of accepted connections.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.port = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answer(
        self, path: str, body: bytes | str, *, status: str = "200 OK", **headers: str
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        headers.setdefault("content_type", "text/plain")
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"content-length: {len(data)}", "", ""])
        self.answers[path] = head.encode() + data

    def redirect(self, path: str, location: str, status: str = "302 Found") -> None:
        self.answer(path, "", status=status, location=location)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = head.lower().partition("content-length: ")[2].partition("\r")[0]
            body = await reader.readexactly(int(length or 0))
            self.requests.append(head + body.decode())
            self.asked.set()
            answer = self.answers.get(head.split(" ")[1], b"HTTP/1.1 404 Not Found\r\n\r\n")
            if answer == b"hang":
                await reader.read()
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running_site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


async def ask(tool: Tool, **arguments: Any) -> str:
    text = await tool.bind(arguments, ToolContext("1", "http_request"))()
    assert isinstance(text, str)
    return text


async def refusal(tool: Tool, **arguments: Any) -> str:
    with pytest.raises(ToolError) as failure:
        await ask(tool, **arguments)
    assert failure.value.__cause__ is None
    assert KEY not in str(failure.value)
    return str(failure.value)
