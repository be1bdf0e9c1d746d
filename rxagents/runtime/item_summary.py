"""Describe an item of a stream in a few words."""

from __future__ import annotations

import reprlib

from rxagents.core.chunks import StreamChunk
from rxagents.core.event_base import Event
from rxagents.runtime.short_repr import one_line

_MAX_TEXT = 80
"""The characters of an item's text that are shown."""


def item_type(item: object) -> str:
    """Return the type of an item, and the length of its text or content in brackets."""
    name = type(item).__name__
    text = _text(item)
    if text is not None:
        return f"{name}({len(text)})"
    if isinstance(item, (bytes, bytearray, list, tuple, dict, set, frozenset)):
        return f"{name}({len(item)})"
    return name


def item_text(item: object) -> str:
    """Return the start of an item's text in one line; of others, what `repr` says."""
    text = _text(item)
    if text is None:
        text = _REPR.repr(item)  # raises nothing: it says so where the item's `repr` raises
    line = one_line(text[: 4 * _MAX_TEXT])
    return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 1] + "…"


def _text(item: object) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, StreamChunk):
        return item.delta or item.reasoning or item.refusal
    content = getattr(item, "content", None) if isinstance(item, Event) else None
    return content if isinstance(content, str) else None


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _MAX_TEXT
