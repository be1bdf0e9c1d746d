"""Joins the metadata that a response collects over its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rxagents.core.json_text import encode_json

LISTS = frozenset(
    {
        "annotations",
        "audio",
        "citations",
        "images",
        "items",
        "logprobs",
        "parts",
        "search_results",
    }
)
"""The names of the metadata that comes in pieces: lists, or objects of lists."""

_SOURCES = frozenset({"annotations", "citations", "search_results"})
"""Those in which an item that is repeated says nothing new: some hosts send all with each event."""


def join_lists(pieces: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Join pieces of metadata by name, in time linear in their size."""
    joined: dict[str, Any] = {}
    seen: set[tuple[str, str, str]] = set()
    for name, piece in pieces:
        if isinstance(piece, list):
            before = joined.get(name)
            if not isinstance(before, list):
                before = joined[name] = []
            before += _new_items(seen, name, "", piece)
        elif isinstance(piece, dict):
            fields = joined.get(name)
            if not isinstance(fields, dict):
                fields = joined[name] = {}
            for field, value in piece.items():
                if isinstance(value, list) and isinstance(fields.get(field, []), list):
                    fields.setdefault(field, [])
                    fields[field] += _new_items(seen, name, field, value)
                elif value is not None or field not in fields:
                    fields[field] = value
        else:
            joined[name] = piece
    return joined


def _new_items(
    seen: set[tuple[str, str, str]], name: str, field: str, items: list[Any]
) -> list[Any]:
    """Return the items that are not repeated."""
    if name not in _SOURCES:
        return items
    new = []
    for item in items:
        key = name, field, encode_json(item)
        if key not in seen:
            seen.add(key)
            new.append(item)
    return new


def merge_provider_data(pieces: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge what the chunks store for the next request; lists under the same key are joined."""
    merged: dict[str, dict[str, Any]] = {}
    for piece in pieces:
        for wire, data in piece.items():
            stored = merged.setdefault(wire, {})
            for key, value in data.items():
                if isinstance(value, list):
                    before = stored.get(key)
                    stored[key] = before if isinstance(before, list) else []
                    stored[key] += value
                else:
                    stored[key] = value
    return merged
