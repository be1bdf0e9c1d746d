"""Join and cut pieces of text in a stream without loss or reordering."""

from __future__ import annotations

from typing import TypeVar, cast

from msgspec.structs import replace

from rxagents.core.chunks import StreamChunk, set_content
from rxagents.core.events import Reasoning, Token

T = TypeVar("T")

_TEXT_TYPES = {str, Token, Reasoning}


def only_text_of(item: object) -> str | None:
    """Return the text of an item that `is_text`, else `None`."""
    if type(item) is StreamChunk:
        delta, reasoning = item.delta, item.reasoning
        if (delta and reasoning) or item.tool_calls or item.finish_reason or item.refusal:
            return None
        return delta or reasoning or None
    return item_text(item) if type(item) in _TEXT_TYPES else None


def is_text(item: object) -> bool:
    """Return whether `item` carries text of one kind and nothing that ends or interrupts it."""
    return only_text_of(item) is not None


def can_join(older: object, newer: object) -> bool:
    """Return whether two neighbours that are text can be joined."""
    if type(older) is StreamChunk and type(newer) is StreamChunk:
        return (
            older.choice == newer.choice
            and (older.delta == "") == (newer.delta == "")
            and (older.metadata is newer.metadata or not (older.metadata or newer.metadata))
            and (older.usage is None or newer.usage is not None)
        )
    if type(older) is not type(newer):
        return False
    if isinstance(older, Token) and isinstance(newer, Token):
        return older.section == newer.section and older.path == newer.path
    if isinstance(older, Reasoning) and isinstance(newer, Reasoning):
        return older.path == newer.path
    return True


def item_text(item: object) -> str:
    """Return the text of an item that `is_text`."""
    if isinstance(item, StreamChunk):
        return item.delta or item.reasoning
    return item.content if isinstance(item, (Token, Reasoning)) else str(item)


def with_text(item: T, text: str) -> T:
    """Return a copy of an item that `is_text`, with another text."""
    return cast("T", _with_text(item, text))


def _with_text(item: object, text: str) -> object:
    if isinstance(item, (Token, Reasoning)):
        return replace(item, content=text)
    if not isinstance(item, StreamChunk):
        return text
    copy = replace(item, delta=text) if item.delta else replace(item, reasoning=text)
    text_so_far = getattr(item, "_text", None)
    if text_so_far is not None:
        set_content(copy, text_so_far)
    return copy
