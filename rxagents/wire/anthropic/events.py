"""The wire's events, with only the fields that are read."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

WIRE: Final = "anthropic"
"""The key of this wire in `provider_data`."""

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


class PlainDelta(Struct, gc=False):
    """A delta of text; other fields are not read of it, unless the text is empty."""

    type: Literal["text_delta"]
    text: str


class PlainEvent(Struct, gc=False):
    """An event with text and nothing else."""

    type: Literal["content_block_delta"]
    index: int
    delta: PlainDelta


decoder = msgspec.json.Decoder(Event)
plain_decoder = msgspec.json.Decoder(PlainEvent)


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
