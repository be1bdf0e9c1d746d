"""Import the package `mcp` when it is first used: it takes 2.5 s."""

from __future__ import annotations

from importlib import import_module

from rxagents.core.errors import ConfigurationError


def need_mcp() -> None:
    """Import the package, so that the imports of its parts are quick.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import_module("mcp")
    except ImportError:
        raise ConfigurationError("MCP needs the extra 'mcp': pip install 'rxagents[mcp]'") from None
