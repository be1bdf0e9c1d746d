"""Make tools of the tools of an MCP server."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, overload

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import (
    ConfigurationError,
    ConnectError,
    ConnectTimeoutError,
    RxAgentsError,
)
from rxagents.core.live_tools import LiveTools
from rxagents.core.printing import printed
from rxagents.core.tools import Tool
from rxagents.mcp.connection import Connection
from rxagents.mcp.owner import Owner
from rxagents.mcp.package import need_mcp
from rxagents.mcp.target import ServerLike, Target

if TYPE_CHECKING:
    import mcp_types

_log = logging.getLogger("rxagents.mcp")

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64


class MCPTools(LiveTools):
    """The tools of one MCP server; `mcp_tools` makes it.

    It is a sequence of `Tool`. An agent that has it among its tools reads it anew for each run, so
    that runs see the tools that the server has then; a run that goes on keeps its tools.
    """

    def __init__(self, connection: Connection, make_tool: Callable[..., Tool | None]) -> None:
        self._connection = connection
        self._make_tool = make_tool
        self._read: tuple[mcp_types.Tool, ...] | None = None
        self._tools: tuple[Tool, ...] = ()

    @property
    def instructions(self) -> str:
        """How to use the tools, as the server says, for a system prompt; may be empty."""
        return self._connection.instructions

    def _now(self) -> tuple[Tool, ...]:
        definitions = self._connection.definitions
        if definitions is not self._read:
            made = (self._make_tool(self._connection, each) for each in definitions)
            self._tools = tuple(tool for tool in made if tool is not None)
            self._read = definitions
        return self._tools

    def __len__(self) -> int:
        return len(self._now())

    @overload
    def __getitem__(self, index: int) -> Tool: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Tool, ...]: ...

    def __getitem__(self, index: int | slice) -> Tool | tuple[Tool, ...]:
        return self._now()[index]

    def __repr__(self) -> str:
        return f"MCPTools({[tool.name for tool in self._now()]})"


def mcp_tools(
    server: ServerLike,
    *,
    headers: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    prefix: str = "",
    only: Collection[str] | None = None,
    requires_approval: bool | Collection[str] = False,
    timeout: float | None = None,
    connect_timeout: float = 30.0,
) -> AbstractAsyncContextManager[MCPTools]:
    """Connect to an MCP server, and use its tools in any agent.

    It needs the extra `mcp`: `pip install 'rxagents[mcp]'`. To dispose a run cancels its calls at
    the server. Progress of a tool becomes `ToolProgress`, images and files stay what they are. A
    tool that fails, and a server that cannot be reached, are the error of the call, which the model
    sees. Leaving the block closes the connection, and ends the command.

    A server cannot ask the user (elicitation) nor the model (sampling): such a tool fails. The
    descriptions and the results of a server are text that the model may follow: use servers that
    you trust, and `only` and `requires_approval`.

    Args:
        server: The URL of the server (streamable HTTP); or the command that starts it (stdio), as
            a list, as a text that is split as a shell does, or as `mcp.StdioServerParameters`.
        headers: Headers of each request, such as `{"Authorization": "Bearer …"}`.
        env: Variables of the command's environment, beside the few that `mcp` passes on.
        prefix: Put before the names of the tools, where two servers have the same names.
        only: The names of the tools to take, as the server has them; all by default. Names that
            the server does not have are logged as a warning.
        requires_approval: Whether the calls need approval; or the names of the tools that do.
        timeout: Seconds that a call may take; no limit by default.
        connect_timeout: Seconds that connecting, and reading the list of tools, may take.

    Returns:
        A context manager of the tools.

    Raises:
        ConfigurationError: An argument is not usable, or `mcp` is not installed.
        ConnectError: On entering: the server cannot be reached, or is no MCP server.
        ConnectTimeoutError: On entering: it took longer than `connect_timeout`.
    """
    target = Target.of(server, headers, env)
    checked_seconds("connect_timeout", connect_timeout)
    for option, names in (("only", only), ("requires_approval", requires_approval)):
        if isinstance(names, str):
            raise ConfigurationError(f"{option} must be a list of names, such as [{names!r}].")
    if _NOT_IN_NAMES.search(prefix):
        raise ConfigurationError(f"prefix {prefix!r}: use letters, digits, '_' and '-' only.")

    def make_tool(connection: Connection, definition: mcp_types.Tool) -> Tool | None:
        name = definition.name
        if only is not None and name not in only:
            return None

        return Tool(
            name=_NOT_IN_NAMES.sub("_", prefix + name)[:_LONGEST_NAME],
            description=definition.description or definition.title or "",
            parameters=definition.input_schema,
            function=partial(connection.call, name),
            timeout=timeout,
            check=False,  # the server checks the arguments
            requires_approval=(
                requires_approval
                if isinstance(requires_approval, bool)
                else name in requires_approval
            ),
        )

    named = {*(only or ())}
    if not isinstance(requires_approval, bool):
        named.update(requires_approval)
    return _open(target, make_tool, connect_timeout, named)


@asynccontextmanager
async def _open(
    target: Target, make_tool: Callable[..., Tool | None], seconds: float, named: set[str]
) -> AsyncIterator[MCPTools]:
    await asyncio.to_thread(need_mcp)  # the loop goes on meanwhile
    owner = Owner(Connection(target).opened())
    try:
        connection = await owner.start(seconds)
    except TimeoutError:
        raise ConnectTimeoutError(
            f"The MCP server {target.label} did not answer within {seconds:g} s. Check that it is "
            "one, or raise connect_timeout.",
            provider="mcp",
        ) from None
    except RxAgentsError:
        raise
    except Exception as error:
        why = printed(error).removesuffix(".") or type(error).__name__
        raise ConnectError(
            f"Cannot use the MCP server {target.label}: {why}. Check the URL or the command.",
            provider="mcp",
        ) from error
    missing = sorted(named.difference(each.name for each in connection.definitions))
    if missing:  # no error: the server may add them later
        _log.warning(
            "The MCP server %s has no tool %s, which only or requires_approval name. It has: %s.",
            target.label,
            ", ".join(map(repr, missing)),
            ", ".join(repr(each.name) for each in connection.definitions),
        )
    try:
        yield MCPTools(connection, make_tool)
    finally:
        await owner.aclose()
