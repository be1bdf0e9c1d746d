"""Compare the items that a test expects with those that it saw."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from rxagents.core.chunks import StreamChunk, ToolCallDelta
from rxagents.core.event_base import ErrorInfo, Event
from rxagents.core.messages import ToolCall

_PARTIAL = (StreamChunk, Event, ErrorInfo, ToolCall, ToolCallDelta)
"""An expected value of these types is compared in the fields that it sets."""

_OF_TIME = {"timestamp", "duration"}
_CONTENT = {"delta", "reasoning", "refusal", "tool_calls"}
"""The fields of a chunk that are always compared: a chunk without text is expected to have none."""


def matches(expected: Any, item: Any) -> bool:
    """Return whether an item is as expected.

    A type stands for all of its instances. A `str` also stands for a chunk or an event with that
    text. A chunk, an event or a tool call is compared in the fields that the expected one sets.
    """
    if isinstance(expected, type):
        return isinstance(item, expected)
    if isinstance(expected, str) and isinstance(item, (StreamChunk, Event)):
        return expected == (item.delta if isinstance(item, StreamChunk) else item.content)  # type: ignore[attr-defined]  # each kind of event has it
    if isinstance(expected, _PARTIAL):
        return type(item) is type(expected) and all(
            _same(name, value, getattr(item, name)) for name, value in set_fields(expected)
        )
    if isinstance(expected, (list, tuple)) and isinstance(item, type(expected)):
        return len(item) == len(expected) and all(map(matches, expected, item))
    return bool(expected == item)


def set_fields(value: Struct) -> list[tuple[str, Any]]:
    """Return the fields of a value that are neither empty nor at their default, nor of time."""
    kept = _CONTENT if isinstance(value, StreamChunk) else ()
    found = []
    for each in fields(value):
        current = getattr(value, each.name)
        if each.name in _OF_TIME:
            continue
        default = None if each.default is NODEFAULT else each.default
        if each.name in kept or (current not in ("", (), {}, None) and current != default):
            found.append((each.name, current))
    return found


def shown(value: Any) -> str:
    """Return a value in a short form: without fields of time and fields at their default."""
    if isinstance(value, type):
        return f"any {value.__name__}"
    if not isinstance(value, _PARTIAL):
        return repr(value)
    pairs = [(name, field) for name, field in set_fields(value) if field not in ("", ())]
    first = value.__struct_fields__[0]
    parts = [shown(field) if name == first else f"{name}={shown(field)}" for name, field in pairs]
    return f"{type(value).__name__}({', '.join(parts)})"


def _same(name: str, expected: Any, found: Any) -> bool:
    if name == "arguments" and isinstance(expected, str) and expected != found:
        try:  # the same arguments may be written with other white space
            return bool(msgspec.json.decode(expected) == msgspec.json.decode(found))
        except (msgspec.DecodeError, TypeError):
            return False
    return matches(expected, found)
