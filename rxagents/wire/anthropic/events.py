"""The wire's events, with only the fields that are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

WIRE: Final = "anthropic"
"""The key of this wire in `provider_data`."""

EVENTS = {
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "error",
}
"""The types of events that are parsed; others are ignored, whatever their content."""

DELTAS = {"text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"}
"""The types of deltas that are parsed; others are ignored."""


class Delta(Struct, gc=False):
    """An addition to a block, or to the message."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class StartedMessage(Struct, gc=False):
    """The message in `message_start`."""

    id: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None


class Event(Struct, gc=False):
    """One event, of any type; `content_block` stays a dict, since it is sent back unchanged."""

    type: str | None = None
    index: int | None = 0
    delta: Delta | None = None
    content_block: dict[str, Any] | None = None
    message: StartedMessage | None = None
    usage: dict[str, Any] | None = None


class _Types(Struct):
    type: Any = None
    delta: Any = None


decoder = msgspec.json.Decoder(Event)
_types_decoder = msgspec.json.Decoder(_Types)


def is_ignored(payload: bytes) -> bool:
    """Return whether the parser ignores an event because of its type or its delta's type."""
    try:
        types = _types_decoder.decode(payload)
    except JSON_ERRORS:
        return False
    match types:
        case _Types(type="content_block_delta", delta={"type": str(kind)}):
            return kind not in DELTAS
    return isinstance(types.type, str) and types.type not in EVENTS


def to_usage(raw: dict[str, Any]) -> Usage:
    """Convert token counts. On this wire `input_tokens` excludes tokens read from the cache."""
    details = raw.get("output_tokens_details")
    return Usage(
        input_tokens=read_count(raw, "input_tokens"),
        output_tokens=read_count(raw, "output_tokens"),
        reasoning_tokens=read_count(details, "thinking_tokens"),
        cached_tokens=read_count(raw, "cache_read_input_tokens"),
        raw=raw,
    )
