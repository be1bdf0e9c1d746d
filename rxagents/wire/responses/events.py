"""The wire's events, with only the fields that are read."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

WIRE: Final = "openai-responses"
"""The key of this wire in `provider_data`."""


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


class PlainEvent(Struct, gc=False):
    """A delta of text and nothing else; other fields are not read of such an event."""

    type: Literal["response.output_text.delta"]
    delta: str
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: None = None
    logprobs: tuple[()] | None = None


decoder = msgspec.json.Decoder(Event)
plain_decoder = msgspec.json.Decoder(PlainEvent)


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
