"""Shorten the result of a tool to the length that the model may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rxagents.core.content_parts import ContentPart, TextPart, content_text

Result: TypeAlias = tuple[str, tuple[ContentPart, ...]]
"""The text of a result, and its parts if it has images or files."""


def shortened(text: str, parts: Sequence[ContentPart], limit: int | None) -> Result:
    """Return the beginning of a result that is longer than `limit` characters.

    A sentence says how many characters were left out. Images and files stay, and do not count.
    """
    if not parts:
        return _shortened_text(text, limit), ()
    length = sum(len(part.text) for part in parts if isinstance(part, TextPart))
    if limit is None or length <= limit:
        return text, tuple(parts)
    kept: list[ContentPart] = []
    room = limit
    for part in parts:
        if not isinstance(part, TextPart):
            kept.append(part)
        elif room:
            kept.append(TextPart(part.text[:room]))
            room -= min(room, len(part.text))
    kept.append(TextPart(_left_out(length, limit)))
    return content_text(kept), tuple(kept)


def _shortened_text(text: str, limit: int | None) -> str:
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}\n{_left_out(len(text), limit)}"


def _left_out(length: int, limit: int) -> str:
    return (
        f"[The result was cut here: {length - limit:,} of its {length:,} characters were left out. "
        "If you need them, call the tool again for a smaller part.]"
    )
