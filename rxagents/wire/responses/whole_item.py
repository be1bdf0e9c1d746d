"""Reads a whole item, as `output_item.done` and the final response have it."""

from __future__ import annotations

from typing import Any

from rxagents.core.json_text import encode_json
from rxagents.wire.responses.function_call import call_content

TEXTS = {"message": ("text", "refusal"), "reasoning": ("summary", "reasoning")}
"""The kinds of text in an item, by the item's kind."""

_FINAL: dict[str, Any] = {}
_FINAL_CUT: dict[str, Any] = {"status": "incomplete"}


def read_later(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a whole message or call that are still read after it was emitted."""
    return _FINAL_CUT if whole.get("status") == "incomplete" else _FINAL


def kind_of(whole: dict[str, Any]) -> str:
    """Return an item's type."""
    return text_of(whole, "type")


def ids_of(whole: dict[str, Any]) -> tuple[str, ...]:
    """Return an item's ids."""
    return text_of(whole, "id"), text_of(whole, "call_id")


def content_of(whole: dict[str, Any]) -> object:
    """Return what identifies a whole item among items of its kind, as `Item.content` does."""
    kind = kind_of(whole)
    if kind == "function_call":
        return call_content(text_of(whole, "name"), text_of(whole, "arguments"))
    if kind in TEXTS:
        return "".join(text for name in TEXTS[kind] for text in texts_of(whole, name))
    return encode_json(whole, order="sorted")


def texts_of(whole: dict[str, Any], kind: str) -> list[str]:
    """Return the texts of one kind in a whole item."""
    field, name = _FIELDS[kind]
    return [text_of(part, name) for part in parts_of(whole, field)]


_FIELDS = {
    "text": ("content", "text"),
    "refusal": ("content", "refusal"),
    "summary": ("summary", "text"),
    "reasoning": ("content", "text"),
}
"""Where a whole item has its texts, by their kind."""


def parts_of(holder: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """Return the objects in a list."""
    parts = holder.get(field)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def text_of(holder: dict[str, Any], field: str) -> str:
    """Return a text; empty if there is none."""
    value = holder.get(field)
    return value if isinstance(value, str) else ""
