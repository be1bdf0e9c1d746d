"""Parses streamed content into chunks."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.finish_reasons import WHOLE
from rxagents.core.json_text import encode_json
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.sse import EventFields
from rxagents.wire.bursts import decode_burst
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.gemini.events import (
    WIRE,
    Candidate,
    FunctionCall,
    decoder,
    plain_decoder,
    to_usage,
)
from rxagents.wire.lenient import read_json, read_leniently
from rxagents.wire.parser import StreamInfo
from rxagents.wire.sse_parser import SSEParser

_OPENING = b"data: {"

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
}

_TEXT_FIELDS = {"text", "thought", "thoughtSignature"}
"""The fields of a part that is only text."""

_UNKNOWN_NAME = "unknown"
"""Stands for a missing function name: the API refuses a result without one."""


class _CandidateState:
    """The state of one candidate.

    Attributes:
        calls: The number of its tool calls so far.
        unsealed: The numbers of its calls without arguments. The response may have been cut before
            them, so they are sealed by a finish reason that cuts nothing.
        finished: It has a finish reason.
        parts: Its parts, to store in `provider_data` and send back; text as references.
        exceeds_parts: They hold more than the parts of a message can.
    """

    __slots__ = ("calls", "exceeds_parts", "finished", "parts", "unsealed")

    def __init__(self) -> None:
        self.calls = 0
        self.unsealed: list[int] = []
        self.finished = False
        self.parts: list[dict[str, Any]] = []
        self.exceeds_parts = False

    def store(self, part: dict[str, Any]) -> None:
        """Store a part; consecutive text becomes one part.

        A part with a signature is stored alone, since the API requires it back unchanged.
        """
        text = part.get("text")
        plain = isinstance(text, str) and not set(part) - _TEXT_FIELDS
        self.exceeds_parts = self.exceeds_parts or not plain or "thoughtSignature" in part
        last = self.parts[-1] if self.parts else {}
        unsigned = "thoughtSignature" not in last and "thoughtSignature" not in part
        same_kind = bool(last.get("thought")) == bool(part.get("thought"))
        if plain and "length" in last and unsigned and same_kind:
            last["length"] += len(text or "")
        elif plain:
            rest = {name: value for name, value in part.items() if name != "text"}
            self.parts.append({"length": len(text or ""), **rest})
        else:
            self.parts.append(part)


class GeminiParser(SSEParser):
    """Parses one stream of generated content.

    Args:
        info: Describes the response.
    """

    __slots__ = ("_blocked", "_candidates", "_chunks", "_plain_part", "_unfinished")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata(), info.think_tags)
        super().__init__(info, self._chunks)
        self._candidates: dict[int, _CandidateState] = {}
        self._unfinished = 0  # candidates without a finish reason
        self._blocked = False
        self._plain_part: dict[str, Any] = {}  # the part to store the text in, while `_is_plain`

    @property
    def complete(self) -> bool:
        """Whether every candidate has a finish reason, or the prompt was blocked.

        The wire has no end marker, but some compatible hosts send `[DONE]`.
        """
        finished = bool(self._candidates) and not self._unfinished
        return self.done or self._blocked or finished

    def _on_end(self) -> None:
        """Do nothing: no text is held back."""

    def _parse_plain(self, frames: bytes) -> bool:
        depth = self._info.limits.json_depth
        plain = decode_burst(plain_decoder, frames, _OPENING, depth)
        if plain is None:
            return False
        texts = [event.candidates[0].content.parts[0].text for event in plain]
        self._plain_part["length"] += sum(map(len, texts))
        self.events += len(texts)
        if not any(event.usage for event in plain):
            self._chunks.emit_texts(texts)
            return True
        for event, text in zip(plain, texts, strict=True):
            if event.usage:
                self._chunks.usage = to_usage(event.usage)
            if text:
                self._chunks.emit(text)
        return True

    def _on_event(self, fields: EventFields, payload: bytes) -> None:
        self._is_plain = False
        event = self._decode(decoder, payload) if payload else None
        if event is None:
            return
        if event.error:
            self._set_provider_error(payload)
            return
        if event.candidates is None and event.feedback is None and event.usage is None:
            self._on_unknown(payload)
            return
        if "model" not in self._chunks.metadata or "id" not in self._chunks.metadata:
            self._chunks.add_metadata(model=event.model, id=event.id)
        if event.usage:
            self._chunks.usage = to_usage(event.usage)
        emitted = self._chunks.index
        for candidate in filter(None, event.candidates or ()):
            self._on_candidate(candidate)
        if event.feedback is not None and event.feedback.block_reason:
            self._blocked = True
            metadata = {"finish_reason": event.feedback.block_reason}
            self._chunks.emit(finish_reason="content_filter", metadata=metadata)
        if self._blocked:
            self._is_plain = False  # from now on, usage without text makes a chunk
        if event.usage and self.complete and self._chunks.index == emitted:
            self._chunks.emit()

    def _on_candidate(self, candidate: Candidate) -> None:
        number = candidate.index or 0
        state = self._candidates.get(number)
        if state is None:
            state = self._candidates[number] = _CandidateState()
            self._unfinished += 1
        text, thinking, metadata = "", "", _metadata(candidate)
        deltas: list[ToolCallDelta] = []
        finish = candidate.finish_reason or ""
        unified = FINISH_REASONS.get(finish, finish)
        cut = bool(finish) and unified not in WHOLE
        parts = candidate.content.parts if candidate.content else None
        for part in filter(None, parts or ()):
            state.store(part)
            match part:
                case {"text": str(piece), "thought": True}:
                    thinking += piece
                case {"text": str(piece)}:
                    text += piece
                case {"functionCall": dict(call)}:
                    deltas.append(_delta(state, call, cut=cut))
                case _:
                    metadata.setdefault("parts", []).append(part)
        if finish:
            self._unfinished -= not state.finished
            state.finished = True
            if not cut:
                deltas += [ToolCallDelta(number, sealed=True) for number in state.unsealed]
                state.unsealed = []
            metadata["finish_reason"] = finish
        if state.finished and state.exceeds_parts and state.parts:
            # Some models finish with every event, and some send a signature after it.
            metadata["provider_data"] = {WIRE: {"parts": state.parts}}
            state.parts = []
        if text or thinking or deltas or finish or metadata:
            self._chunks.emit(
                text,
                choice=number,
                finish_reason="tool_calls" if unified == "stop" and state.calls else unified,
                reasoning=thinking,
                tool_calls=tuple(deltas),
                metadata=metadata,
            )
        has_text_only = text and not (thinking or deltas or metadata or state.finished or number)
        if has_text_only and state.parts[-1].keys() == {"length"}:
            self._plain_part = state.parts[-1]
            # Later events repeat the names, and they are not read of plain ones.
            names = self._chunks.metadata
            self._is_plain = "model" in names and "id" in names


def _metadata(candidate: Candidate) -> dict[str, Any]:
    fields = {
        "grounding": candidate.grounding,
        "citations": candidate.citations,
        "safety_ratings": candidate.safety,
        "finish_message": candidate.finish_message,
    }
    return {name: value for name, value in fields.items() if value}


def _delta(state: _CandidateState, raw: dict[str, Any], *, cut: bool) -> ToolCallDelta:
    """Return a call, which the wire sends in one piece; a missing id or name is made up."""
    call = read_leniently(raw, FunctionCall)
    call.name = call.name or _UNKNOWN_NAME
    raw["name"] = call.name  # the stored part must have the name that the call has
    arguments = call.args if isinstance(call.args, str) else encode_json(call.args or {})
    if isinstance(call.args, str):  # the API takes back only an object
        value = read_json(call.args)
        raw["args"] = value if isinstance(value, dict) else {}
    index = state.calls
    state.calls += 1
    sealed = bool(call.args) and not cut
    if not call.args:
        state.unsealed.append(index)
    return ToolCallDelta(index, call.id or new_call_id(), call.name, arguments, sealed=sealed)
