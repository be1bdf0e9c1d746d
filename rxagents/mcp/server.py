"""Make an MCP server of tools and agents.

Theory of operation. A call is an Observable of `execute`, as in an agent's run, and the handler of
the call reads it with `to_aiter`. The package `mcp` cancels the handler's task when the client
cancels the call; leaving the block of `to_aiter` disposes the Observable, which closes the agent's
request and cancels its tools. While the client takes no progress, the gate of `to_aiter` slows the
agent down.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from rxagents._version import __version__
from rxagents.agents.as_tool import agent_tool
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import ErrorInfo, StreamEvent, ToolEnd, ToolProgress, ToolStart
from rxagents.core.live_tools import LiveTools
from rxagents.core.messages import ToolCall
from rxagents.core.protocols import StreamingAgent
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.mcp.content import blocks_of
from rxagents.mcp.package import need_mcp
from rxagents.runtime.to_aiter import to_aiter
from rxagents.runtime.tool_execution.execute import execute

if TYPE_CHECKING:
    import mcp_types
    from mcp.server import Server, ServerRequestContext

_log = logging.getLogger("rxagents.mcp")

Servable: TypeAlias = ToolLike | StreamingAgent
"""A tool, a function, or an agent."""


def mcp_server(served: Servable | Sequence[Servable], *, name: str = "agent") -> Server[Any]:
    """Make an MCP server of tools and agents.

    It needs the extra `mcp`: `pip install 'rxagents[mcp]'`. `rxagents.mcp.serve_stdio` serves it on
    the standard streams, `rxagents mcp` and `rxagents serve --mcp` do so from the command line, and
    `streamable_http_app()` makes an application for Starlette of it.

    An agent is a tool that takes a task and gives its answer. The tools that it starts, their
    progress, and the progress of other tools are progress of MCP. A client that cancels a call
    disposes the agent's run, down to its socket. A tool that fails gives a result with `is_error`;
    what the user's code says in an exception goes to the log `rxagents.mcp`, and not to the client.

    Args:
        served: A tool, a function or an agent, or a sequence of them. A tool that requires approval
            is refused: a client of MCP cannot give it.
        name: The server's name, and the name of the tool that a bare agent becomes. Several agents
            need names: pass `agent.as_tool(name, description)`.

    Returns:
        A server of the package `mcp`.

    Raises:
        ConfigurationError: `served` is not usable, or `mcp` is not installed.
    """
    items = _items(served, name)
    _tools_of(items)  # raises here for what cannot be served
    need_mcp()
    import mcp_types
    from mcp import MCPError
    from mcp.server import Server

    async def list_tools(_: object, __: object) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=[_described(tool) for tool in _tools_of(items)])

    async def call_tool(
        context: ServerRequestContext[Any], params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        tool = next((tool for tool in _tools_of(items) if tool.name == params.name), None)
        if tool is None:
            raise MCPError(mcp_types.INVALID_PARAMS, f"There is no tool {params.name!r:.80}.")
        arguments = msgspec.json.encode(params.arguments or {}).decode()
        call = ToolCall(str(context.request_id), tool.name, arguments)
        count = 0
        async with to_aiter(execute(tool, call)) as events:
            async for event in events:
                if isinstance(event, ToolEnd) and not event.path:
                    return _result(event)
                text = _progress(event)
                if text:
                    count += 1
                    await context.session.report_progress(count, message=text)
        raise MCPError(mcp_types.INTERNAL_ERROR, f"The tool {tool.name!r} gave no result.")

    return Server(name, version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)


def _items(served: Any, name: str) -> list[Any]:
    is_one = isinstance(served, Tool | LiveTools | Mapping) or not isinstance(served, Sequence)
    return [_servable(item, name) for item in ([served] if is_one else served)]


def _servable(item: Any, name: str) -> Any:
    if isinstance(item, type) or not callable(getattr(item, "run_stream", None)):
        return item
    return as_mcp_tool(item.run_stream, name)


def as_mcp_tool(run_stream: Any, name: str) -> Tool:
    """Return the tool that an agent becomes.

    Args:
        run_stream: Starts a run of the agent.
        name: The name; what a tool's name may not contain becomes `_`.
    """
    usable = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]
    return agent_tool(run_stream, usable, f"Give the agent {name!r} a task, and get its answer.")


def _tools_of(items: Sequence[Any]) -> tuple[Tool, ...]:
    tools = to_tools(items)
    refused = [tool.name for tool in tools if tool.requires_approval]
    if refused:
        raise ConfigurationError(
            f"The tools {refused} require approval, which an MCP client cannot give: leave them "
            "out, or serve an agent with an approve function."
        )
    return tools


def _described(tool: Tool) -> mcp_types.Tool:
    import mcp_types

    return mcp_types.Tool(
        name=tool.name,
        description=tool.description or None,
        input_schema={"type": "object", **tool.parameters},
    )


def _progress(event: StreamEvent) -> str:
    match event:
        case ToolStart():
            return "/".join((*event.path[1:], event.name))
        case ToolProgress():
            return event.content
    return ""


def _result(end: ToolEnd) -> mcp_types.CallToolResult:
    import mcp_types

    text = end.result
    if end.error is not None and _is_foreign(end.error):
        _log.error("The tool %s failed: %s: %s", end.name, end.error.kind, end.error.message)
        text = f"Error: The tool {end.name!r} failed."
    return mcp_types.CallToolResult(
        content=blocks_of(text, end.parts), is_error=end.error is not None
    )


def _is_foreign(info: ErrorInfo) -> bool:
    """Return whether no error of this library has this name: `exception` names the kind then."""
    return type(info.exception()).__name__ != info.kind
