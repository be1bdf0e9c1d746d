"""Decide whether an item of a stream is content."""

from __future__ import annotations

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import ErrorEvent


def is_content(item: object) -> bool:
    """Return whether `item` is content: once it was delivered, a restart would repeat it."""
    if type(item) is StreamChunk:
        return item.has_content
    return type(item) is not ErrorEvent
