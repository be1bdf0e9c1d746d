"""Find out how an MCP server is reached: by a URL, or by a command that is started."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct

from rxagents.core.errors import ConfigurationError

if TYPE_CHECKING:
    from mcp import StdioServerParameters

ServerLike: TypeAlias = "str | Sequence[str] | StdioServerParameters"
"""A URL, a command, or the parameters of the package `mcp`."""

_READ_SECONDS: Final = 300.0
"""How long an HTTP response may be silent, as the package `mcp` has it; servers send pings."""


class Target(Struct, frozen=True):
    """An MCP server that can be reached.

    Attributes:
        label: What messages call it: the URL without its query, or the command's first word.
        url: The URL; empty for a command.
        command: The command and its arguments, or the parameters of the package `mcp`.
        headers: The headers of each request, which may contain a key.
        env: Variables of the command's environment.
    """

    label: str
    url: str
    command: Any
    headers: dict[str, str]
    env: dict[str, str] | None

    @classmethod
    def of(
        cls, server: ServerLike, headers: Mapping[str, str] | None, env: Mapping[str, str] | None
    ) -> Target:
        """Check the arguments of `mcp_tools`.

        Raises:
            ConfigurationError: They are not usable.
        """
        is_url = isinstance(server, str) and server.startswith(("http://", "https://"))
        if headers is not None and not is_url:
            raise ConfigurationError(
                "headers are sent to a URL, but the MCP server is a command: pass env instead."
            )
        if env is not None and is_url:
            raise ConfigurationError(
                "env is for a command, but the MCP server is a URL: pass headers instead."
            )
        url, command, label = "", [], ""
        if isinstance(server, str):
            url = server if is_url else ""
            command = [] if is_url else shlex.split(server)
        elif isinstance(server, Sequence):
            command = list(server)
        elif type(server).__name__ == "StdioServerParameters":
            label = f"{server.command!r}"
            return cls(label, "", server, {}, None if env is None else dict(env))
        if not url and not (command and all(isinstance(word, str) for word in command)):
            raise ConfigurationError(
                f"{server!r:.100} is no MCP server: pass its URL, such as "
                "'https://example.org/mcp', or a command, such as ['uvx', 'mcp-server-time']."
            )
        label = url.partition("?")[0] if url else repr(command[0])
        return cls(label, url, command, dict(headers or {}), None if env is None else dict(env))

    @asynccontextmanager
    async def transport(self) -> AsyncIterator[Any]:
        """Open the connection, or start the command, for `mcp.Client`."""
        if self.url:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            http = httpx2.AsyncClient(
                headers=self.headers,
                timeout=httpx2.Timeout(30.0, read=_READ_SECONDS),
                # By default the hundredth call waits for a connection of another one.
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            )
            async with http, streamable_http_client(self.url, http_client=http) as streams:
                yield streams
        else:
            from mcp.client.stdio import stdio_client

            # `sys.stderr` may have no file descriptor, as in a notebook.
            async with stdio_client(
                self._parameters(), errlog=sys.__stderr__ or sys.stderr
            ) as streams:
                yield streams

    def _parameters(self) -> StdioServerParameters:
        from mcp import StdioServerParameters

        if isinstance(self.command, StdioServerParameters):
            env = {**(self.command.env or {}), **(self.env or {})}
            return self.command.model_copy(update={"env": env or None})
        return StdioServerParameters(command=self.command[0], args=self.command[1:], env=self.env)
