"""A provider that answers the README, docs and examples as a model would."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents import ToolCall, Usage
from rxagents.testing import Reply
from rxagents.testing.scripted_server import ReceivedRequest

TEXT = "Hello from the script. " * 5
USAGE = Usage(1, 2, 3)
_VALUES: dict[str, object] = {"integer": 2, "number": 2.5, "boolean": True, "string": "2 + 2"}


def answer(request: ReceivedRequest) -> Reply:
    """Call the first tool, if there is one, and then answer with its result."""
    body = request.json()
    last, tools = body["messages"][-1], body.get("tools")
    if last["role"] == "tool":
        return Reply(f"It is {last['content']}.", usage=USAGE)
    return Reply(tool_calls=[_call(tools[0]["function"])]) if tools else Reply(TEXT, usage=USAGE)


def _call(tool: dict[str, Any]) -> ToolCall:
    properties = tool["parameters"]["properties"]
    arguments = {name: _VALUES[schema["type"]] for name, schema in properties.items()}
    return ToolCall("call_1", tool["name"], msgspec.json.encode(arguments).decode())
