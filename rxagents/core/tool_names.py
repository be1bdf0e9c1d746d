"""Find the tool that a model calls, where it writes more than the tool's name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import structs

from rxagents.core.messages import ToolCall
from rxagents.core.tools import Tool

_SEPARATOR = re.compile(r"[.:/]")


def with_tool_name(call: ToolCall, tools: Mapping[str, Tool]) -> ToolCall:
    """Return the call with the name of the tool that it means, or unchanged if there is none.

    Models write `functions.add`, `default_api:add` or `add()`, forms that they saw in training. A
    tool's own name has none of these characters.
    """
    if call.name in tools:
        return call
    name = _SEPARATOR.split(call.name.strip().removesuffix("()"))[-1]
    return structs.replace(call, name=name) if name in tools else call
