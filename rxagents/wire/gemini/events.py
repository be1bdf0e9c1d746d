"""The wire's events, with only the fields that are read."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

WIRE: Final = "gemini"
"""The key of this wire in `provider_data`."""


class FunctionCall(Struct, gc=False):
    """A function call; the wire sends it in one piece. Proxies write the arguments as text."""

    name: str | None = None
    args: dict[str, Any] | str | None = None
    id: str | None = None


class Content(Struct, gc=False):
    """A piece of a candidate; parts stay dicts, since many kinds are sent back."""

    parts: list[dict[str, Any] | None] | None = None


class Candidate(Struct, gc=False):
    """One candidate: what other wires call a choice."""

    content: Content | None = None
    finish_reason: str | None = field(name="finishReason", default=None)
    index: int | None = 0
    grounding: Any = field(name="groundingMetadata", default=None)
    citations: Any = field(name="citationMetadata", default=None)
    safety: Any = field(name="safetyRatings", default=None)
    finish_message: str | None = field(name="finishMessage", default=None)


class PromptFeedback(Struct, gc=False):
    """The reason why a prompt was blocked."""

    block_reason: str | None = field(name="blockReason", default=None)


class Event(Struct, gc=False):
    """One event of the stream."""

    candidates: list[Candidate | None] | None = None
    feedback: PromptFeedback | None = field(name="promptFeedback", default=None)
    usage: dict[str, Any] | None = field(name="usageMetadata", default=None)
    model: str | None = field(name="modelVersion", default=None)
    id: str | None = field(name="responseId", default=None)
    error: Any = None


Empty: TypeAlias = Literal["", None]
Nothing: TypeAlias = tuple[()] | None


class PlainPart(Struct, gc=False, forbid_unknown_fields=True):
    """A part that is text and no thought."""

    text: str


class PlainContent(Struct, gc=False):
    """A piece of a candidate that is one text."""

    parts: tuple[PlainPart]


class PlainCandidate(Struct, gc=False):
    """The first candidate, with text and nothing else."""

    content: PlainContent
    finish_reason: Empty = field(name="finishReason", default=None)
    index: Literal[0, None] = 0
    grounding: Nothing = field(name="groundingMetadata", default=None)
    citations: Nothing = field(name="citationMetadata", default=None)
    safety: Nothing = field(name="safetyRatings", default=None)
    finish_message: Empty = field(name="finishMessage", default=None)


class PlainEvent(Struct, gc=False):
    """An event with text and token counts; its names are known and not read."""

    candidates: tuple[PlainCandidate]
    feedback: None = field(name="promptFeedback", default=None)
    usage: dict[str, Any] | None = field(name="usageMetadata", default=None)
    error: Empty = None


decoder = msgspec.json.Decoder(Event)
plain_decoder = msgspec.json.Decoder(PlainEvent)


def to_usage(raw: dict[str, Any]) -> Usage:
    """Convert token counts. On this wire `output_tokens` excludes thinking."""
    return Usage(
        input_tokens=read_count(raw, "promptTokenCount"),
        output_tokens=read_count(raw, "candidatesTokenCount"),
        total_tokens=read_count(raw, "totalTokenCount"),
        reasoning_tokens=read_count(raw, "thoughtsTokenCount"),
        cached_tokens=read_count(raw, "cachedContentTokenCount"),
        raw=raw,
    )
