"""Parses a streamed response into chunks."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.json_text import is_json
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.sse import EventFields
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses.events import WIRE, decoder, is_ignored, to_usage
from rxagents.wire.sse_parser import SSEParser

# Theory of operation
#
# A response consists of items: messages with parts, reasoning, function calls, calls of hosted
# tools. The wire sends every text up to four times: in deltas, in the `done` event of its part, in
# the `output_item.done` of its item, and in the final response. Hosts leave out any of these.
#
# - `_emitted` counts the characters emitted of each text, by (item, part, kind). A longer whole
#   text adds only what goes beyond that count: `_emit_rest`. So a text is emitted once, whichever
#   of its four forms the host sends.
# - A function call is sealed when its item or its arguments are done and the arguments are JSON; or
#   by a completed response. An incomplete response seals nothing, since it may have cut the call.
# - `_items` keeps the finished items. If one of them is more than a message or a call, all of them
#   are stored in the message's `provider_data`, because reasoning is sent back with the next turn
#   (`wire/original_items.py`). Texts and calls are stored as references.
# - Some hosts number the items of the final response differently from their events. An item whose
#   id came in an event is therefore not read again.

_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
_NO_REASON = "the provider gave no reason"


class _FunctionCall:
    """A function call while it is streamed."""

    __slots__ = ("id", "index", "length", "name", "sealed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.length = 0
        self.sealed = False

    def update(self, item: dict[str, Any]) -> tuple[str, str]:
        """Take id and name from `item` if they are not known yet; return those that are new."""
        new_id = "" if self.id else _text(item.get("call_id"))
        new_name = "" if self.name else _text(item.get("name"))
        self.id, self.name = self.id or new_id, self.name or new_name
        return new_id, new_name


class ResponsesParser(SSEParser):
    """Parses one streamed response.

    Args:
        info: Describes the response.
    """

    __slots__ = ("_calls", "_chunks", "_emitted", "_items")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata())
        super().__init__(info, self._chunks)
        self._calls: dict[int, _FunctionCall] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._emitted: dict[tuple[int, int, str], int] = {}

    @property
    def complete(self) -> bool:
        """Whether `response.completed` or `response.incomplete` came."""
        return self.done

    def _on_end(self) -> None:
        """Do nothing: no text is held back."""

    def _is_ignored(self, payload: bytes) -> bool:
        return is_ignored(payload)

    def _on_event(self, fields: EventFields, payload: bytes) -> None:
        event = self._decode(decoder, payload) if payload else None
        if event is None or event.type is None:
            return
        index = event.output_index or 0
        part = event.content_index or event.summary_index or 0  # an event has one of the two
        match event.type.removeprefix("response."):
            case "output_text.delta":
                self._add_text(index, part, "text", event.delta)
            case "reasoning_summary_text.delta":
                self._add_text(index, part, "summary", event.delta)
            case "reasoning_text.delta":
                self._add_text(index, part, "reasoning", event.delta)
            case "refusal.delta":
                self._add_text(index, part, "refusal", event.delta)
            case "function_call_arguments.delta":
                self._add_arguments(index, event.delta or "")
            case "output_text.done":
                self._emit_rest(index, part, "text", event.text)
            case "reasoning_summary_text.done":
                self._emit_rest(index, part, "summary", event.text)
            case "reasoning_text.done":
                self._emit_rest(index, part, "reasoning", event.text)
            case "refusal.done":
                self._emit_rest(index, part, "refusal", event.refusal)
            case "function_call_arguments.done" if event.arguments:
                self._seal(self._call(index, {}), {"arguments": event.arguments})
            case "output_text.annotation.added":
                self._chunks.emit(metadata={"annotations": [event.annotation]})
            case "output_item.added":
                self._on_item_added(index, event.item or {})
            case "output_item.done":
                self._on_item_done(index, event.item or {})
            case "created":
                self._set_names(event.response or {})
            case "completed" | "incomplete":
                self._on_response_end(event.response or {})
            case "failed":
                self._set_provider_error((event.response or {}).get("error") or _NO_REASON)
            case "error":
                self._set_provider_error(payload)

    def _set_names(self, response: dict[str, Any]) -> None:
        self._chunks.add_metadata(id=response.get("id"), model=response.get("model"))

    def _add_text(self, index: int, part: int, kind: str, delta: str | None) -> None:
        if delta:
            key = index, part, kind
            self._emitted[key] = self._emitted.get(key, 0) + len(delta)
            self._emit(kind, delta)

    def _emit_rest(self, index: int, part: int, kind: str, text: object) -> None:
        """Emit the part of a whole text that goes beyond its deltas."""
        key = index, part, kind
        emitted = self._emitted.get(key, 0)
        if isinstance(text, str) and len(text) > emitted:
            self._emitted[key] = len(text)
            self._emit(kind, text[emitted:])

    def _emit(self, kind: str, text: str) -> None:
        match kind:
            case "text":
                self._chunks.emit(text)
            case "refusal":
                self._chunks.emit(refusal=text)
            case _:
                self._chunks.emit(reasoning=text)

    def _on_item_added(self, index: int, item: dict[str, Any]) -> None:
        if item.get("type") == "function_call":
            self._call(index, item)

    def _call(self, index: int, item: dict[str, Any]) -> _FunctionCall:
        """Return the call at `index`; emit its start if it is new."""
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _FunctionCall(len(self._calls))
            arguments = _text(item.get("arguments"))
            call.length = len(arguments)
            started = ToolCallDelta(call.index, *call.update(item), arguments)
            self._chunks.emit(tool_calls=(started,))
        return call

    def _add_arguments(self, index: int, arguments: str) -> None:
        call = self._call(index, {})
        if arguments:
            call.length += len(arguments)
            self._chunks.emit(tool_calls=(ToolCallDelta(call.index, arguments=arguments),))

    def _on_item_done(self, index: int, item: dict[str, Any]) -> None:
        self._items[index] = item
        match item.get("type"):
            case "message":
                for part, content in enumerate(_parts(item, "content")):
                    self._emit_rest(index, part, "text", content.get("text"))
                    self._emit_rest(index, part, "refusal", content.get("refusal"))
            case "reasoning":
                for kind, field in (("summary", "summary"), ("reasoning", "content")):
                    for part, content in enumerate(_parts(item, field)):
                        self._emit_rest(index, part, kind, content.get("text"))
            case "function_call":
                self._seal(self._call(index, item), item)
            case _:
                self._chunks.emit(metadata={"items": [item]})

    def _seal(self, call: _FunctionCall, item: dict[str, Any], *, at_end: bool = False) -> None:
        """Emit the seal of a call if its arguments are JSON, or the response is completed."""
        arguments = _text(item.get("arguments"))
        complete = item.get("status") != "incomplete" and (at_end or is_json(arguments or "{}"))
        new_id, new_name = call.update(item)
        if complete and call.name and not call.sealed:
            call.sealed = True
            made_id = "" if call.id else new_call_id()
            rest = arguments[call.length :]
            seal = ToolCallDelta(call.index, new_id or made_id, new_name, rest, sealed=True)
            self._chunks.emit(tool_calls=(seal,))

    def _on_response_end(self, response: dict[str, Any]) -> None:
        self._set_names(response)
        known_ids = {_text(item.get("id")) for item in self._items.values()} - {""}
        for index, item in enumerate(_parts(response, "output")):
            if index not in self._items and _text(item.get("id")) not in known_ids:
                self._on_item_done(index, item)
        usage = response.get("usage")
        if isinstance(usage, dict):
            self._chunks.usage = to_usage(usage)
        details = response.get("incomplete_details")
        reason = _text(details.get("reason")) if isinstance(details, dict) else ""
        word = reason or _text(response.get("status")) or "completed"
        metadata: dict[str, Any] = {"finish_reason": word}
        items = [item for _, item in sorted(self._items.items())]
        if any(item.get("type") not in ("message", "function_call") for item in items):
            metadata["provider_data"] = {WIRE: {"items": [_stored(item) for item in items]}}
        finish = _INCOMPLETE.get(word, word)
        if finish == "completed":
            finish = "tool_calls" if self._calls else "stop"
            for index, call in self._calls.items():
                self._seal(call, self._items.get(index, {}), at_end=True)
        self._chunks.emit(finish_reason=finish, metadata=metadata)
        self.done = True


def _parts(holder: dict[str, Any], field: str) -> list[dict[str, Any]]:
    parts = holder.get(field)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _stored(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item to store in `provider_data`; texts and calls as references."""
    if item.get("type") == "message":
        parts = _parts(item, "content")
        return {"type": "message", "length": sum(len(_text(part.get("text"))) for part in parts)}
    if item.get("type") == "function_call":
        return {"type": "function_call", "call_id": item.get("call_id")}
    return {name: value for name, value in item.items() if name != "status"}
