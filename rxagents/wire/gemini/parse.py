"""From bytes to chunks."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.sse import EventFields
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.gemini.events import (
    WIRE,
    Candidate,
    FunctionCall,
    decoder,
    to_usage,
)
from rxagents.wire.parser import StreamInfo
from rxagents.wire.sse_parser import SSEParser

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
}

_OWN = {"text", "thought", "thoughtSignature"}
"""The fields of a part that is text and nothing else."""

_NAMELESS = "unknown"
"""The name of a call without one: the API refuses a result that names no function."""


class _CandidateState:
    """What one candidate has said so far."""

    __slots__ = ("calls", "finished", "parts", "unusual")

    def __init__(self) -> None:
        self.calls = 0
        self.finished = False
        self.parts: list[dict[str, Any]] = []
        self.unusual = False

    def remember(self, part: dict[str, Any]) -> None:
        """Note what the next turn has to send back: text that goes on is one part."""
        text = part.get("text")
        plain = isinstance(text, str) and not set(part) - _OWN
        self.unusual = self.unusual or not plain or "thoughtSignature" in part
        last = self.parts[-1] if self.parts else {}
        # The API wants a signed part back by itself: only unsigned text is joined.
        unsigned = "thoughtSignature" not in last and "thoughtSignature" not in part
        goes_on = bool(last.get("thought")) == bool(part.get("thought"))
        if plain and "length" in last and unsigned and goes_on:
            last["length"] += len(text or "")
        elif plain:
            rest = {name: value for name, value in part.items() if name != "text"}
            self.parts.append({"length": len(text or ""), **rest})
        else:
            self.parts.append(part)


class GeminiParser(SSEParser):
    """Parses one stream of generated content.

    Args:
        info: What is known of the answer already.
    """

    __slots__ = ("_answers", "_blocked", "_chunks")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata())
        super().__init__(info, self._chunks)
        self._answers: dict[int, _CandidateState] = {}
        self._blocked = False

    @property
    def complete(self) -> bool:
        """Every candidate gave its finish reason, or the prompt was blocked.

        The wire has no end marker, but some hosts that are compatible send `[DONE]`.
        """
        answers = self._answers.values()
        finished = bool(answers) and all(answer.finished for answer in answers)
        return self.done or self._blocked or finished

    def _end(self) -> None:
        """Nothing is held back."""

    def _take(self, fields: EventFields, payload: bytes) -> None:
        event = self._decode(decoder, payload) if payload else None
        if event is None:
            return
        if event.error:
            self._fail(event.error)
            return
        if "model" not in self._chunks.metadata or "id" not in self._chunks.metadata:
            self._chunks.learn(model=event.model, id=event.id)
        if event.usage:
            self._chunks.usage = to_usage(event.usage)
        emitted = self._chunks.index
        for candidate in filter(None, event.candidates or ()):
            self._take_candidate(candidate)
        if event.feedback is not None and event.feedback.block_reason:
            self._blocked = True
            metadata = {"finish_reason": event.feedback.block_reason}
            self._chunks.emit(finish_reason="content_filter", metadata=metadata)
        if event.usage and self.complete and self._chunks.index == emitted:
            self._chunks.emit()

    def _take_candidate(self, candidate: Candidate) -> None:
        number = candidate.index or 0
        answer = self._answers.setdefault(number, _CandidateState())
        text, thinking, metadata = "", "", _told(candidate)
        deltas: list[ToolCallDelta] = []
        parts = candidate.content.parts if candidate.content else None
        for part in filter(None, parts or ()):
            answer.remember(part)
            match part:
                case {"text": str(piece), "thought": True}:
                    thinking += piece
                case {"text": str(piece)}:
                    text += piece
                case {"functionCall": dict(call)}:
                    deltas.append(_delta(answer, call))
                case _:
                    metadata.setdefault("parts", []).append(part)
        finish = candidate.finish_reason or ""
        if finish:
            answer.finished = True
            metadata["finish_reason"] = finish
            if answer.unusual:
                metadata["provider_data"] = {WIRE: {"parts": answer.parts}}
                answer.parts = []  # some models finish with every event, and each tells its own
        unified = FINISH_REASONS.get(finish, finish)
        if text or thinking or deltas or finish or metadata:
            self._chunks.emit(
                text,
                choice=number,
                finish_reason="tool_calls" if unified == "stop" and answer.calls else unified,
                reasoning=thinking,
                tool_calls=tuple(deltas),
                metadata=metadata,
            )


def _told(candidate: Candidate) -> dict[str, Any]:
    told = {
        "grounding": candidate.grounding,
        "citations": candidate.citations,
        "safety_ratings": candidate.safety,
        "finish_message": candidate.finish_message,
    }
    return {name: value for name, value in told.items() if value}


def _delta(answer: _CandidateState, raw: dict[str, Any]) -> ToolCallDelta:
    """Return a call, which is always whole; one without an id or a name gets one."""
    try:
        call = msgspec.convert(raw, FunctionCall)
    except msgspec.ValidationError:
        call = FunctionCall(str(raw.get("name") or ""))
    call.name = call.name or _NAMELESS
    raw["name"] = call.name  # it is remembered, and has to fit the call when it goes back
    index = answer.calls
    answer.calls += 1
    arguments = msgspec.json.encode(call.args or {}).decode()
    identity = call.id or new_call_id()
    return ToolCallDelta(index, identity, call.name, arguments, sealed=True)
