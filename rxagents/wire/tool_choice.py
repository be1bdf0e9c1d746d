"""The check of a `tool_choice` that names a tool."""

from __future__ import annotations

from collections.abc import Iterable

from rxagents.core.errors import ConfigurationError
from rxagents.core.tools import Tool


def check_chosen_tool(name: str, tools: Iterable[Tool]) -> None:
    """Check that the request sends the tool that `tool_choice` names.

    Raises:
        ConfigurationError: It does not.
    """
    if name not in {tool.name for tool in tools}:
        raise ConfigurationError(
            f"tool_choice names {name!r}, which is not among the tools: "
            "use 'auto', 'none', 'required' or the name of a tool that is sent."
        )
