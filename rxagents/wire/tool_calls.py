"""Tool calls, for wires that send arguments as objects and identify results by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rxagents.core.errors import ToolArgumentsError
from rxagents.core.messages import Message, ToolCall


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as an object.

    If the model wrote something other than a JSON object, its text is the only field,
    `invalid_json`: the call must be sent back together with the error result that it got.
    """
    try:
        return call.parse()
    except ToolArgumentsError:
        return {"invalid_json": call.arguments}


def names_by_call_id(messages: Iterable[Message]) -> dict[str, str]:
    """Return the tool's name of every call in a conversation, by the call's id."""
    return {call.id: call.name for message in messages for call in message.tool_calls}
