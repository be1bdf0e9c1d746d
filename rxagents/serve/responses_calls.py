"""Encode a call of the agent's tools as an item of OpenAI's Responses API.

The item is an `mcp_call`, the type for a tool that runs at the server: for a `function_call` the
client would have to run the tool. Its id stands for the call's when the client sends it back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from rxagents.core.events import ToolEnd

ResponseEvent: TypeAlias = tuple[str, dict[str, Any]]
"""The type of an event, and its other fields."""


class CallItem:
    """The item of one call.

    Args:
        index: Its place in the response's output.
        name: The name of the tool.
        label: The name of the agent.

    Attributes:
        index: The same.
        item: The item, whole as soon as the call has ended.
    """

    def __init__(self, index: int, name: str, label: str) -> None:
        self.index = index
        self.item: dict[str, Any] = {
            "id": f"mcp_{uuid.uuid4().hex}",
            "type": "mcp_call",
            "name": name,
            "server_label": label,
            "arguments": "",
            "status": "in_progress",
            "output": None,
            "error": None,
            "approval_request_id": None,
        }
        self._texts: list[str] = []
        self._is_sealed = False

    def begin(self) -> Iterator[ResponseEvent]:
        """Return the events that begin the call."""
        item = {"output_index": self.index, "item": self.item}
        yield "response.output_item.added", item
        yield "response.mcp_call.in_progress", self._place()

    def add(self, delta: str) -> Iterator[ResponseEvent]:
        """Return the event of new text of the arguments."""
        if delta:
            self._texts.append(delta)
            yield "response.mcp_call_arguments.delta", {**self._place(), "delta": delta}

    def seal(self, arguments: dict[str, Any]) -> Iterator[ResponseEvent]:
        """Return the events of whole arguments: their text, unless it has come, and its end."""
        if self._is_sealed:
            return
        if not self._texts:
            yield from self.add(msgspec.json.encode(arguments).decode())
        yield from self._seal()

    def end(self, event: ToolEnd) -> Iterator[ResponseEvent]:
        """Return the events of the call's result."""
        yield from self._seal()
        if event.error is None:
            yield "response.mcp_call.completed", self._place()
            yield self._done({"status": "completed", "output": event.result})
        else:
            content = [{"type": "text", "text": event.result}]
            error = {"type": "mcp_tool_execution_error", "content": content}
            yield "response.mcp_call.failed", self._place()
            yield self._done({"status": "failed", "error": error})

    def cut(self) -> Iterator[ResponseEvent]:
        """Return the events of a call that has no result."""
        yield from self._seal()
        yield self._done({"status": "incomplete"})

    def _seal(self) -> Iterator[ResponseEvent]:
        if self._is_sealed:
            return
        self._is_sealed = True
        arguments = {"arguments": "".join(self._texts)}
        self.item = {**self.item, **arguments}
        yield "response.mcp_call_arguments.done", {**self._place(), **arguments}

    def _done(self, end: dict[str, Any]) -> ResponseEvent:
        self.item = {**self.item, **end}
        return "response.output_item.done", {"output_index": self.index, "item": self.item}

    def _place(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], "output_index": self.index}
