"""The wire's own objects: only the fields that are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage

WIRE: Final = "openai-responses"
"""The key of this wire in `provider_data`."""


class Event(Struct, gc=False):
    """One event of the stream, of any type; whole items and responses are kept as they are."""

    type: str = ""
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    item: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    annotation: Any = None
    code: Any = None
    message: str | None = None
    error: Any = None


decoder = msgspec.json.Decoder(Event)


def to_usage(raw: dict[str, Any]) -> Usage:
    """Unify token counts."""
    return Usage(
        input_tokens=_count(raw, "input_tokens"),
        output_tokens=_count(raw, "output_tokens"),
        total_tokens=_count(raw, "total_tokens"),
        reasoning_tokens=_count(raw.get("output_tokens_details"), "reasoning_tokens"),
        cached_tokens=_count(raw.get("input_tokens_details"), "cached_tokens"),
        raw=raw,
    )


def _count(counts: object, key: str) -> int | None:
    value = counts.get(key) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
