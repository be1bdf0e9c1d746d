"""Use the tools of MCP servers, and serve tools and agents to MCP clients (the extra `mcp`)."""

from __future__ import annotations

from rxagents.mcp.client import MCPTools, mcp_tools
from rxagents.mcp.server import mcp_server
from rxagents.mcp.stdio import serve_stdio

__all__ = ["MCPTools", "mcp_server", "mcp_tools", "serve_stdio"]
