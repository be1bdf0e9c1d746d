"""Connect to an MCP server, follow its list of tools, and call them.

Theory of operation. An `Owner` holds the connection open in its task. Calls run in the tasks of the
tools: the package sends them over the one connection, and tells the server when such a task is
cancelled (`notifications/cancelled`; over HTTP from the version 2026-07-28 on it closes the
response). So nothing here stops a call: a disposed run cancels the tool's task, and that is all.

The list is read when the connection is open, and again at each change. Servers of 2026-07-28 send
changes on a stream of their own (`subscriptions/listen`), which has no replay: the list is also
read when the stream opens, and the stream is opened again when it ends. Older servers send a
notification.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.printing import printed
from rxagents.mcp.content import result_of
from rxagents.mcp.owner import first_of
from rxagents.mcp.target import Target
from rxagents.runtime.tool_execution.items import Progress

if TYPE_CHECKING:
    import mcp_types
    from mcp import Client

_log = logging.getLogger("rxagents.mcp")

_PAGES: Final = 1_000
"""Pages that a list of tools may have: a server may never end it."""

_WAIT, _LONGEST_WAIT = 1.0, 60.0
"""Seconds before the stream of changes is opened again; doubled after each failure."""


class Connection:
    """The connection to one server.

    Args:
        target: The server.

    Attributes:
        definitions: The tools that the server has.
        instructions: How to use them, as the server says; may be empty.
    """

    def __init__(self, target: Target) -> None:
        self.definitions: tuple[mcp_types.Tool, ...] = ()
        self.instructions = ""
        self._target = target
        self._client: Client | None = None
        self._has_changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Connection]:
        """Connect, read the list of tools, and follow its changes until the block is left."""
        from mcp import Client

        async with Client(
            self._target.transport(), cache=None, message_handler=self._on_message
        ) as client:
            self._client = client
            self.instructions = client.instructions or ""
            await self._read_list(client)
            following = asyncio.create_task(self._follow(client))
            try:
                yield self
            finally:
                self._client = None
                following.cancel()
                await asyncio.wait([following])

    async def call(self, name: str, /, **arguments: Any) -> AsyncGenerator[object, None]:
        """Call a tool, and yield its progress and its result.

        Raises:
            ToolError: The tool failed, or the server cannot be reached.
            ConfigurationError: The running loop is not that of the connection.
        """
        client = self._client
        if client is None:
            raise ToolError(
                f"The connection to the MCP server {self._target.label} is closed: its tools work "
                "inside the block of mcp_tools only."
            )
        if asyncio.get_running_loop() is not self._loop:
            raise ConfigurationError(  # the package would wait for ever
                f"The MCP server {self._target.label} was connected on another event loop. Open "
                "mcp_tools in the coroutine that runs the agent; rxagents.run, to_iter and "
                "asyncio.run start a loop of their own."
            )
        items: asyncio.Queue[Progress | None] = asyncio.Queue()

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            of_total = "" if total is None else f" of {total:g}"
            items.put_nowait(Progress(message or f"{progress:g}{of_total}"))

        calling = asyncio.create_task(
            client.call_tool(name, arguments, progress_callback=on_progress)
        )
        calling.add_done_callback(lambda _: items.put_nowait(None))
        try:
            while (item := await items.get()) is not None:
                yield item
        finally:
            calling.cancel()
            await asyncio.wait([calling])
        yield self._result(name, calling)

    def _result(self, name: str, calling: asyncio.Task[mcp_types.CallToolResult]) -> object:
        try:
            result = calling.result()
            value = result_of(result)
        except asyncio.CancelledError:
            raise ToolError(self._failure(name, "its connection was closed")) from None
        except Exception as error:
            raise ToolError(self._failure(name, printed(first_of(error)))) from error
        if result.is_error:
            texts = [block.text for block in result.content if block.type == "text"]
            raise ToolError("\n".join(texts) or f"The tool {name!r} failed.")
        return value

    def _failure(self, name: str, why: str) -> str:
        return (
            f"The MCP server {self._target.label} did not answer the call of {name!r}: "
            f"{why.removesuffix('.')}. Continue without it."
        )

    async def _read_list(self, client: Client) -> None:
        found: list[mcp_types.Tool] = []
        cursor = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        self.definitions = tuple(found)

    async def _on_message(self, message: object) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._has_changed.set()

    async def _follow(self, client: Client) -> None:
        """Read the list again after each change."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        tools = client.server_capabilities.tools
        is_modern = client.protocol_version in MODERN_PROTOCOL_VERSIONS
        if is_modern and (tools is None or not tools.list_changed):
            return  # older servers send notifications without announcing them
        changes = self._changes(client) if is_modern else self._notifications()
        async with aclosing(changes):
            async for _ in changes:
                try:
                    await self._read_list(client)
                except Exception as error:
                    _log.warning(
                        "The MCP server %s has changed its tools, but sends no list: %s",
                        self._target.label,
                        printed(first_of(error)),
                    )

    async def _notifications(self) -> AsyncGenerator[None, None]:
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            yield

    async def _changes(self, client: Client) -> AsyncGenerator[None, None]:
        wait = _WAIT
        while True:
            try:
                async with client.listen(tools_list_changed=True) as events:
                    wait = _WAIT
                    yield
                    async for _ in events:
                        yield
            except Exception as error:
                _log.debug("The changes of %s ended: %r", self._target.label, first_of(error))
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
