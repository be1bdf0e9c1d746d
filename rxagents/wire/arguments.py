"""The arguments of a tool call, for wires that send them as an object and not as text."""

from __future__ import annotations

from typing import Any

from rxagents.core.errors import ToolArgumentsError
from rxagents.core.messages import ToolCall


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as an object.

    If the model wrote something other than a JSON object, its text is the only field,
    `invalid_json`: the call must be sent back together with the error result that it got.
    """
    try:
        return call.parse()
    except ToolArgumentsError:
        return {"invalid_json": call.arguments}
