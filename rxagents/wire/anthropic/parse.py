"""Parses a streamed message into chunks."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.finish_reasons import WHOLE
from rxagents.parsing.sse import EventFields
from rxagents.wire.anthropic.blocks import Block
from rxagents.wire.anthropic.events import (
    DELTAS,
    WIRE,
    Delta,
    Event,
    decoder,
    plain_decoder,
    to_usage,
)
from rxagents.wire.bursts import decode_burst
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.event_template import EventTemplate
from rxagents.wire.parser import StreamInfo
from rxagents.wire.sse_parser import SSEParser

_OPENING = b"event: content_block_delta\ndata: {"

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicParser(SSEParser):
    """Parses one streamed message.

    Args:
        info: Describes the response.
    """

    __slots__ = (
        "_blocks",
        "_calls",
        "_chunks",
        "_finished",
        "_last_call",
        "_plain_index",
        "_template",
        "_template_index",
        "_usage",
    )

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata(), info.think_tags)
        super().__init__(info, self._chunks)
        self._blocks: dict[int, Block] = {}
        self._calls = 0
        self._finished = False
        self._last_call: Block | None = None
        self._plain_index = 0  # the block of the last event, while `_is_plain`
        self._template = EventTemplate()
        self._template_index: int | None = None  # the block of its events
        self._usage: dict[str, Any] = {}

    @property
    def complete(self) -> bool:
        """Whether `message_stop` or a stop reason came."""
        return self.done or self._finished

    def _on_end(self) -> None:
        """Do nothing: no text is held back."""

    def _parse_plain(self, frames: bytes) -> bool:
        index = self._plain_index
        texts = self._template.read(frames) if index == self._template_index else None
        if texts is None or not all(texts):
            texts = self._decode_plain(frames, index)
        if texts is None:
            return False
        self.events += len(texts)
        self._blocks[index].buffer.extend(texts)
        self._chunks.emit_texts(texts)
        return True

    def _decode_plain(self, events: bytes, index: int) -> list[str] | None:
        """Return the texts of events of one block; `None` if there is anything else."""
        plain = decode_burst(plain_decoder, events, _OPENING, self._info.limits.json_depth)
        if plain is None:
            return None
        texts = [event.delta.text for event in plain if event.index == index and event.delta.text]
        if len(texts) != len(plain):
            return None
        self._template_index = index
        self._template.learn(events, texts[-1], self._text_of)
        return texts

    def _text_of(self, event: bytes) -> str | None:
        plain = decode_burst(plain_decoder, event, _OPENING, self._info.limits.json_depth)
        is_of_block = plain is not None and plain[0].index == self._template_index
        return plain[0].delta.text if plain is not None and is_of_block else None

    def _on_event(self, fields: EventFields, payload: bytes) -> None:
        event = self._decode(decoder, payload) if payload else None
        if event is None:
            return
        self._is_plain = False
        match event.type or fields.event.decode("ascii", "replace"):
            case "content_block_delta":
                self._on_delta(event.index or 0, event.delta or _EMPTY_DELTA)
            case "content_block_start":
                self._on_block_start(event.index or 0, event.content_block or {})
            case "content_block_stop":
                self._on_block_stop(event.index or 0)
            case "message_start":
                self._on_message_start(event)
            case "message_delta":
                self._on_message_delta(event)
            case "message_stop":
                self._set_done()
            case "error":
                self._set_provider_error(payload)
            case "":
                self._on_unknown(payload)

    def _on_message_start(self, event: Event) -> None:
        if event.message is not None:
            self._chunks.add_metadata(id=event.message.id, model=event.message.model)
            self._add_usage(event.message.usage)

    def _on_block_start(self, index: int, content: dict[str, Any]) -> None:
        if self._last_call is not None:
            self._seal_complete(self._last_call)
        block = self._blocks[index] = Block(content)
        if block.type == "tool_use":
            self._last_call = block
            block.call = self._calls
            self._calls += 1
            started = ToolCallDelta(block.call, block.take_id(), block.name)
            self._chunks.emit(tool_calls=(started,))
        elif block.type == "text" and block.text:
            self._chunks.emit(block.text)
        elif block.type == "thinking" and block.text:
            self._chunks.emit(reasoning=block.text)

    def _on_delta(self, index: int, delta: Delta) -> None:
        kind = delta.type or ""
        if kind and kind not in DELTAS:
            return
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = Block({"type": _BLOCK_OF_DELTA.get(kind, "")})
        if delta.text:
            self._is_plain, self._plain_index = True, index
            block.buffer.append(delta.text)
            self._chunks.emit(delta.text)
        elif delta.thinking:
            block.buffer.append(delta.thinking)
            self._chunks.emit(reasoning=delta.thinking)
        elif delta.partial_json:
            partial = block.add_input(delta.partial_json)
            if block.call is not None and partial:
                fragment = ToolCallDelta(block.call, arguments=partial)
                self._chunks.emit(tool_calls=(fragment,))
        elif delta.signature:
            block.signature += delta.signature
        elif delta.citation is not None:
            block.citations.append(delta.citation)
            self._chunks.emit(metadata={"citations": [delta.citation]})

    def _on_block_stop(self, index: int) -> None:
        block = self._blocks.get(index)
        if block is None or block.stopped:
            return
        block.stopped = True
        self._seal_complete(block)

    def _seal_complete(self, block: Block) -> None:
        """Seal a call whose input is JSON; one without input may have been cut before it."""
        if block.has_input and block.is_complete():
            self._seal(block)

    def _seal(self, block: Block) -> None:
        if block.call is not None and not block.sealed:
            block.sealed = True
            arguments = block.late_arguments()
            seal = ToolCallDelta(block.call, arguments=arguments, sealed=True)
            self._chunks.emit(tool_calls=(seal,))

    def _on_message_delta(self, event: Event) -> None:
        delta = event.delta or _EMPTY_DELTA
        self._add_usage(event.usage)
        reason = delta.stop_reason or ""
        if not reason or self._finished:
            if event.usage:
                self._chunks.emit()
            return
        self._finished = True
        finish = FINISH_REASONS.get(reason, reason)
        blocks = [block for _, block in sorted(self._blocks.items())]
        # If nothing was cut, input that is not JSON is a mistake of the model. The call is sealed,
        # so that the model gets an error result for it.
        for block in blocks if finish in WHOLE else ():
            self._seal(block)
        metadata: dict[str, Any] = {"finish_reason": reason}
        if delta.stop_sequence:
            metadata["stop_sequence"] = delta.stop_sequence
        if any(block.exceeds_parts for block in blocks):
            metadata["provider_data"] = {WIRE: {"blocks": [block.stored() for block in blocks]}}
        self._chunks.emit(finish_reason=finish, metadata=metadata)

    def _add_usage(self, usage: dict[str, Any] | None) -> None:
        """Merge cumulative counts: a later event may leave some of them out."""
        if usage:
            new = {name: count for name, count in usage.items() if count is not None}
            self._usage = {**self._usage, **new}
            self._chunks.usage = to_usage(self._usage)


_EMPTY_DELTA = Delta()
_BLOCK_OF_DELTA = {"text_delta": "text", "thinking_delta": "thinking"}
