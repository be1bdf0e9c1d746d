"""From bytes to chunks."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.json_text import is_json
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.sse import EventFields
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses.events import WIRE, decoder, is_unknown, to_usage
from rxagents.wire.sse_parser import SSEParser

_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
_NO_REASON = "it does not say why"


class _OpenCall:
    """A function call of the answer."""

    __slots__ = ("id", "index", "length", "name", "sealed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.length = 0
        self.sealed = False

    def learn(self, item: dict[str, Any]) -> tuple[str, str]:
        """Return what the item tells of id and name, where that is not known yet."""
        new_id = "" if self.id else _text(item.get("call_id"))
        new_name = "" if self.name else _text(item.get("name"))
        self.id, self.name = self.id or new_id, self.name or new_name
        return new_id, new_name


class ResponsesParser(SSEParser):
    """Parses one stream of a response.

    A text comes in deltas, once more whole when it is done, and again in the item and in the
    response that hold it; hosts leave out one or the other. What is emitted of each text is
    counted, and only what is new is told.

    Args:
        info: What is known of the answer already.
    """

    __slots__ = ("_calls", "_chunks", "_items", "_told")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata())
        super().__init__(info, self._chunks)
        self._calls: dict[int, _OpenCall] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._told: dict[tuple[int, int, str], int] = {}

    @property
    def complete(self) -> bool:
        """The answer is whole: the response is completed, or told to be incomplete."""
        return self.done

    def _end(self) -> None:
        """Nothing is held back."""

    def _is_unknown(self, payload: bytes) -> bool:
        return is_unknown(payload)

    def _take(self, fields: EventFields, payload: bytes) -> None:
        event = self._decode(decoder, payload) if payload else None
        if event is None or event.type is None:
            return
        index = event.output_index or 0
        part = event.content_index or event.summary_index or 0  # an event has one of them
        match event.type.removeprefix("response."):
            case "output_text.delta":
                self._add(index, part, "text", event.delta)
            case "reasoning_summary_text.delta":
                self._add(index, part, "summary", event.delta)
            case "reasoning_text.delta":
                self._add(index, part, "reasoning", event.delta)
            case "refusal.delta":
                self._add(index, part, "refusal", event.delta)
            case "function_call_arguments.delta":
                self._add_arguments(index, event.delta or "")
            case "output_text.done":
                self._reconcile(index, part, "text", event.text)
            case "reasoning_summary_text.done":
                self._reconcile(index, part, "summary", event.text)
            case "reasoning_text.done":
                self._reconcile(index, part, "reasoning", event.text)
            case "refusal.done":
                self._reconcile(index, part, "refusal", event.refusal)
            case "function_call_arguments.done" if event.arguments:
                self._seal(self._call(index, {}), {"arguments": event.arguments})
            case "output_text.annotation.added":
                self._chunks.emit(metadata={"annotations": [event.annotation]})
            case "output_item.added":
                self._start(index, event.item or {})
            case "output_item.done":
                self._stop(index, event.item or {})
            case "created":
                self._learn(event.response or {})
            case "completed" | "incomplete":
                self._finish(event.response or {})
            case "failed":
                self._fail((event.response or {}).get("error") or _NO_REASON)
            case "error":
                self._fail(payload)

    def _learn(self, response: dict[str, Any]) -> None:
        self._chunks.learn(id=response.get("id"), model=response.get("model"))

    def _add(self, index: int, part: int, kind: str, delta: str | None) -> None:
        if delta:
            key = index, part, kind
            self._told[key] = self._told.get(key, 0) + len(delta)
            self._emit(kind, delta)

    def _reconcile(self, index: int, part: int, kind: str, text: object) -> None:
        """Tell what a whole text has beyond its deltas."""
        key = index, part, kind
        told = self._told.get(key, 0)
        if isinstance(text, str) and len(text) > told:
            self._told[key] = len(text)
            self._emit(kind, text[told:])

    def _emit(self, kind: str, text: str) -> None:
        match kind:
            case "text":
                self._chunks.emit(text)
            case "refusal":
                self._chunks.emit(refusal=text)
            case _:
                self._chunks.emit(reasoning=text)

    def _start(self, index: int, item: dict[str, Any]) -> None:
        if item.get("type") == "function_call":
            self._call(index, item)

    def _call(self, index: int, item: dict[str, Any]) -> _OpenCall:
        """Return the call at `index`; tell it where it is new."""
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _OpenCall(len(self._calls))
            arguments = _text(item.get("arguments"))
            call.length = len(arguments)
            started = ToolCallDelta(call.index, *call.learn(item), arguments)
            self._chunks.emit(tool_calls=(started,))
        return call

    def _add_arguments(self, index: int, arguments: str) -> None:
        call = self._call(index, {})
        if arguments:
            call.length += len(arguments)
            self._chunks.emit(tool_calls=(ToolCallDelta(call.index, arguments=arguments),))

    def _stop(self, index: int, item: dict[str, Any]) -> None:
        self._items[index] = item
        match item.get("type"):
            case "message":
                for part, content in enumerate(_parts(item, "content")):
                    self._reconcile(index, part, "text", content.get("text"))
                    self._reconcile(index, part, "refusal", content.get("refusal"))
            case "reasoning":
                for kind, field in (("summary", "summary"), ("reasoning", "content")):
                    for part, content in enumerate(_parts(item, field)):
                        self._reconcile(index, part, kind, content.get("text"))
            case "function_call":
                self._seal(self._call(index, item), item)
            case _:
                self._chunks.emit(metadata={"items": [item]})

    def _seal(self, call: _OpenCall, item: dict[str, Any], *, at_end: bool = False) -> None:
        """Tell that a call is whole: its arguments are JSON, or the completed answer is over."""
        arguments = _text(item.get("arguments"))
        whole = item.get("status") != "incomplete" and (at_end or is_json(arguments or "{}"))
        told_id, name = call.learn(item)
        if whole and call.name and not call.sealed:
            call.sealed = True
            made_id = "" if call.id else new_call_id()
            rest = arguments[call.length :]
            seal = ToolCallDelta(call.index, told_id or made_id, name, rest, sealed=True)
            self._chunks.emit(tool_calls=(seal,))

    def _finish(self, response: dict[str, Any]) -> None:
        self._learn(response)
        told = {_text(item.get("id")) for item in self._items.values()} - {""}
        for index, item in enumerate(_parts(response, "output")):
            # Some hosts count otherwise here than in their events: what was told has its id.
            if index not in self._items and _text(item.get("id")) not in told:
                self._stop(index, item)
        usage = response.get("usage")
        if isinstance(usage, dict):
            self._chunks.usage = to_usage(usage)
        details = response.get("incomplete_details")
        reason = _text(details.get("reason")) if isinstance(details, dict) else ""
        word = reason or _text(response.get("status")) or "completed"
        metadata: dict[str, Any] = {"finish_reason": word}
        items = [item for _, item in sorted(self._items.items())]
        if any(item.get("type") not in ("message", "function_call") for item in items):
            metadata["provider_data"] = {WIRE: {"items": [_memory(item) for item in items]}}
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


def _memory(item: dict[str, Any]) -> dict[str, Any]:
    """Return what is needed to send an item back; texts and calls are in the message anyway."""
    if item.get("type") == "message":
        parts = _parts(item, "content")
        return {"type": "message", "length": sum(len(_text(part.get("text"))) for part in parts)}
    if item.get("type") == "function_call":
        return {"type": "function_call", "call_id": item.get("call_id")}
    return {name: value for name, value in item.items() if name != "status"}
