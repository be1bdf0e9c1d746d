"""The wire's own objects: only the fields that are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage

WIRE: Final = "ollama"
"""The key of this wire in `provider_data`."""


class Function(Struct, gc=False):
    """A called function; some models' templates make a text of the arguments."""

    name: str | None = None
    arguments: dict[str, Any] | str | None = None


class ToolCallObject(Struct, gc=False):
    """A tool call, whole; newer versions send an id."""

    function: Function | None = None
    id: str | None = None


class ChatMessage(Struct, gc=False):
    """What a line adds to the answer."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCallObject | None] | None = None


class Line(Struct, gc=False):
    """One line: of `/api/chat` with a message, of `/api/generate` with a response."""

    model: str | None = None
    message: ChatMessage | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


decoder = msgspec.json.Decoder(Line)
fields_decoder = msgspec.json.Decoder(dict[str, Any])

_COUNTED = ("_count", "_duration")


def to_usage(line: Line, fields: dict[str, Any]) -> Usage:
    """Return the counts of the last line; `raw` has its durations too, in nanoseconds."""
    raw = {name: value for name, value in fields.items() if name.endswith(_COUNTED)}
    return Usage(input_tokens=line.prompt_eval_count, output_tokens=line.eval_count, raw=raw)
