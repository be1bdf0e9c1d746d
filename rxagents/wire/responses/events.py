"""The wire's events, with only the fields that are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

WIRE: Final = "openai-responses"
"""The key of this wire in `provider_data`."""


EVENTS = {
    "created",
    "completed",
    "incomplete",
    "failed",
    "error",
    "output_item.added",
    "output_item.done",
    "output_text.delta",
    "output_text.done",
    "output_text.annotation.added",
    "refusal.delta",
    "refusal.done",
    "reasoning_text.delta",
    "reasoning_text.done",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "function_call_arguments.delta",
    "function_call_arguments.done",
}
"""The types of events that are parsed; others are ignored, whatever their content."""


class Event(Struct, gc=False):
    """One event, of any type; `item` and `response` stay dicts, since items are sent back."""

    type: str | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    logprobs: list[Any] | None = None
    item: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    annotation: Any = None


class _Type(Struct):
    type: Any = None


decoder = msgspec.json.Decoder(Event)
_type_decoder = msgspec.json.Decoder(_Type)


def is_ignored(payload: bytes) -> bool:
    """Return whether the parser ignores events of this type."""
    try:
        kind = _type_decoder.decode(payload).type
    except JSON_ERRORS:
        return False
    return isinstance(kind, str) and kind.removeprefix("response.") not in EVENTS


def to_usage(raw: dict[str, Any]) -> Usage:
    """Convert token counts."""
    return Usage(
        input_tokens=read_count(raw, "input_tokens"),
        output_tokens=read_count(raw, "output_tokens"),
        total_tokens=read_count(raw, "total_tokens"),
        reasoning_tokens=read_count(raw.get("output_tokens_details"), "reasoning_tokens"),
        cached_tokens=read_count(raw.get("input_tokens_details"), "cached_tokens"),
        raw=raw,
    )
