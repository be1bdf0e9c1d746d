"""Parses a streamed response into chunks."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.sse import EventFields
from rxagents.wire.bursts import decode_burst
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses.events import WIRE, Event, decoder, plain_decoder, to_usage
from rxagents.wire.responses.function_call import FunctionCall
from rxagents.wire.responses.item_text import ItemText
from rxagents.wire.responses.items import Item, Items
from rxagents.wire.responses.whole_item import (
    TEXTS,
    ids_of,
    kind_of,
    parts_of,
    text_of,
    texts_of,
)
from rxagents.wire.sse_parser import SSEParser

# Theory of operation
#
# A response consists of items: messages with parts, reasoning, function calls, calls of hosted
# tools. The wire sends every text up to four times: in deltas, in the `done` event of its part, in
# the `output_item.done` of its item, and in the final response. Hosts leave out any of these.
#
# - `items.py` finds the item of an event, `item_text.py` and `function_call.py` find what a whole
#   text adds to the deltas. So everything is emitted once, whichever forms the host sends.
# - A function call is sealed when its item or its arguments are done and the arguments are a JSON
#   object; or by a completed response. An incomplete response, or one with an unknown status, seals
#   nothing, since it may have cut the call. A call without arguments may have been cut before them,
#   so it waits for the end of the response.
# - If an item is more than a message or a call, all items are stored in the message's
#   `provider_data`, because reasoning is sent back with the next turn (`wire/original_items.py`).
#   Texts and calls are stored as references.
# - Nearly all events are deltas of one text. `_text` keeps that text; it is looked up anew when
#   `_kind`, `_item_id` or `_index` differ, and after every other event.
# - While `_is_plain`, a read with only such deltas is decoded in one call and its chunks are built
#   in one loop. The last delta sets `_is_plain` if the next one of the same part can only be
#   emitted, and every other event resets it: a failed try costs a decoding.

_OPENING = b"event: response.output_text.delta\ndata: {"

_INCOMPLETE = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
_NO_REASON = "the provider gave no reason"

_PARTS = {
    "output_text": ("message", "text"),
    "refusal": ("message", "refusal"),
    "reasoning_summary_text": ("reasoning", "summary"),
    "reasoning_text": ("reasoning", "reasoning"),
}
_DELTAS = {f"response.{name}.delta": kinds for name, kinds in _PARTS.items()}
_DONE = {f"response.{name}.done": kinds for name, kinds in _PARTS.items()}
"""The kinds of item and text that an event belongs to, by the event's type."""


class ResponsesParser(SSEParser):
    """Parses one streamed response.

    Args:
        info: Describes the response.
    """

    __slots__ = ("_chunks", "_index", "_item_id", "_items", "_kind", "_part", "_text")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata(), info.think_tags)
        super().__init__(info, self._chunks)
        self._items = Items()
        self._kind = ""
        self._item_id: str | None = None
        self._index: int | None = None
        self._part: int | None = None
        self._text = ItemText("text")

    @property
    def complete(self) -> bool:
        """Whether `response.completed` or `response.incomplete` came."""
        return self.done

    def _on_end(self) -> None:
        for item in self._items.all:
            if item.call is not None:
                self._emit_arguments(item.call, item.call.add_held())

    def _parse_plain(self, frames: bytes) -> bool:
        depth = self._info.limits.json_depth
        plain = decode_burst(plain_decoder, frames, _OPENING, depth)
        if plain is None:
            return False
        item_id, index, part = self._item_id, self._index, self._part
        texts = [
            event.delta
            for event in plain
            if event.item_id == item_id
            and event.output_index == index
            and event.content_index == part
        ]
        if len(texts) != len(plain):
            return False
        self.events += len(texts)
        self._text.add_all(texts)
        self._chunks.emit_texts(texts)
        return True

    def _on_event(self, fields: EventFields, payload: bytes) -> None:
        event = self._decode(decoder, payload) if payload else None
        if event is None:
            return
        name = event.type or fields.event.decode("ascii", "replace")
        kinds = _DELTAS.get(name)
        if kinds is not None:
            self._on_text_delta(event, *kinds)
            return
        self._kind, self._is_plain = "", False
        kinds = _DONE.get(name)
        if kinds is not None:
            self._on_text_done(event, *kinds)
            return
        match name.removeprefix("response."):
            case "function_call_arguments.delta":
                self._on_arguments(event, event.delta or "")
            case "function_call_arguments.done" if event.arguments:
                call = self._call_of(event, done=True)
                self._complete_call(call, event.arguments)
            case "output_text.annotation.added" if event.annotation:
                item = self._items.of_part("message", event.item_id, event.output_index, done=True)
                item.has_annotations = True
                self._chunks.emit(metadata={"annotations": [event.annotation]})
            case "output_item.added" if event.item:
                self._on_item_added(event.item, event.output_index)
            case "output_item.done" if event.item:
                whole = event.item
                found = self._items.of_done(
                    kind_of(whole), ids_of(whole), event.output_index, whole
                )
                self._on_item_done(found, whole)
            case "created":
                self._add_names(event.response or {})
            case "completed" | "incomplete" as word:
                self._on_response_end(event.response or {}, word)
            case "failed":
                self._set_provider_error((event.response or {}).get("error") or _NO_REASON)
            case "error":
                self._set_provider_error(payload)
            case "":
                self._on_unknown(payload)

    def _add_names(self, response: dict[str, Any]) -> None:
        names = ("id", "model", "service_tier")
        self._chunks.add_metadata(**{name: response.get(name) for name in names})

    def _on_text_delta(self, event: Event, kind: str, text_kind: str) -> None:
        if not event.delta:
            return
        item_id, index = event.item_id, event.output_index
        if text_kind != self._kind or item_id != self._item_id or index != self._index:
            self._text = self._items.of_part(kind, item_id, index).text(text_kind)
            self._kind, self._item_id, self._index = text_kind, item_id, index
        part = event.content_index or event.summary_index or 0  # an event has one of the two
        delta = self._text.add(part, event.delta)
        self._is_plain = text_kind == "text" and not event.logprobs and self._text.takes_all(part)
        self._part = event.content_index
        if event.logprobs and delta:
            self._emit(text_kind, delta, {"logprobs": {"content": event.logprobs}})
        elif text_kind == "text" and delta:
            self._chunks.emit(delta)
        else:
            self._emit(text_kind, delta)

    def _on_text_done(self, event: Event, kind: str, text_kind: str) -> None:
        whole = event.refusal if text_kind == "refusal" else event.text
        if whole:
            item = self._items.of_part(kind, event.item_id, event.output_index, done=True)
            part = event.content_index or event.summary_index or 0
            self._emit(text_kind, item.text(text_kind).rest_of_part(part, whole))

    def _emit(self, kind: str, text: str, metadata: dict[str, Any] | None = None) -> None:
        if not text:
            return
        match kind:
            case "text":
                self._chunks.emit(text, metadata=metadata)
            case "refusal":
                self._chunks.emit(refusal=text, metadata=metadata)
            case _:
                self._chunks.emit(reasoning=text, metadata=metadata)

    def _call_of(self, event: Event, *, done: bool = False) -> FunctionCall:
        item = self._items.of_part("function_call", event.item_id, event.output_index, done=done)
        assert item.call is not None  # by its kind
        return item.call

    def _on_arguments(self, event: Event, delta: str) -> None:
        call = self._call_of(event)
        if not call.sealed:
            self._emit_arguments(call, call.add(delta))

    def _emit_arguments(self, call: FunctionCall, arguments: str) -> None:
        if arguments:
            self._chunks.emit(tool_calls=(ToolCallDelta(call.index, arguments=arguments),))

    def _on_item_added(self, whole: dict[str, Any], index: int | None) -> None:
        item = self._items.of_added(kind_of(whole), ids_of(whole), index)
        call = item.call
        if call is not None and not call.sealed:
            new = call.update(text_of(whole, "call_id"), text_of(whole, "name"))
            arguments = call.add(text_of(whole, "arguments")) if call.is_empty else ""
            if any(new) or arguments:
                self._chunks.emit(tool_calls=(ToolCallDelta(call.index, *new, arguments),))

    def _on_item_done(self, item: Item, whole: dict[str, Any], *, cut: bool = False) -> None:
        repeated = item.final is not None
        if not repeated:
            self._items.finish(item, whole)
        if item.call is not None:
            self._complete_call(item.call, text_of(whole, "arguments"), whole, cut=cut)
        elif item.kind in TEXTS:
            for kind in TEXTS[item.kind]:
                self._emit(kind, item.text(kind).rest_of_item(texts_of(whole, kind)))
            parts = () if item.has_annotations else parts_of(whole, "content")
            annotations = [note for part in parts for note in parts_of(part, "annotations")]
            if annotations:
                item.has_annotations = True
                self._chunks.emit(metadata={"annotations": annotations})
        elif not repeated:
            self._chunks.emit(metadata={"items": [whole]})

    def _complete_call(
        self,
        call: FunctionCall,
        arguments: str,
        whole: dict[str, Any] | None = None,
        *,
        at_end: bool = False,
        cut: bool = False,
    ) -> None:
        """Complete a call; seal it if its arguments are JSON, or the response is completed."""
        if call.sealed:
            return
        whole = whole or {}
        new_id, new_name = call.update(text_of(whole, "call_id"), text_of(whole, "name"))
        rest = call.add_whole(arguments)
        if at_end:
            rest += call.add_held()
        cut = cut or whole.get("status") == "incomplete" or not call.name
        if not cut and (at_end or call.is_complete()):
            call.seal()
            if not call.id:
                new_id, _ = call.update(new_call_id(), "")
        if new_id or new_name or rest or call.sealed:
            delta = ToolCallDelta(call.index, new_id, new_name, rest, sealed=call.sealed)
            self._chunks.emit(tool_calls=(delta,))

    def _on_response_end(self, response: dict[str, Any], word: str) -> None:
        word = text_of(response, "status") or word
        if word == "failed":
            self._set_provider_error(response.get("error") or _NO_REASON)
            return
        details = response.get("incomplete_details")
        word = (text_of(details, "reason") if isinstance(details, dict) else "") or word
        self._add_names(response)
        for item, whole in self._items.match_all(parts_of(response, "output")):
            self._on_item_done(item, whole, cut=word != "completed")
        usage = response.get("usage")
        if isinstance(usage, dict):
            self._chunks.usage = to_usage(usage)
        metadata: dict[str, Any] = {"finish_reason": word}
        finish = _INCOMPLETE.get(word, word)
        if finish == "completed":
            finish = "tool_calls" if self._items.calls else "stop"
            for item in self._items.all:
                if item.call is not None:
                    self._complete_call(item.call, "", item.final, at_end=True)
        self._on_end()
        if any(item.kind not in ("message", "function_call") for item in self._items.all):
            stored = [item.stored() for item in self._items.all]
            items = [item for item in stored if item]
            metadata["provider_data"] = {WIRE: {"items": items}}
        self._chunks.emit(finish_reason=finish, metadata=metadata)
        self._set_done()
