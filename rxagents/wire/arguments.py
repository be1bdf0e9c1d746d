"""A call's arguments, for the wires that send an object and not its text."""

from __future__ import annotations

from typing import Any

from rxagents.core.errors import ToolArgumentsError
from rxagents.core.messages import ToolCall


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as an object.

    A model may write what is no JSON object. Its call is answered with an error, and must go
    back before that answer: what it wrote is then the object's only field.
    """
    try:
        return call.parse()
    except ToolArgumentsError:
        return {"invalid_json": call.arguments}
