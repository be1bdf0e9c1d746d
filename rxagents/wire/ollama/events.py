"""The wire's lines, with only the fields that are read."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage
from rxagents.wire.lenient import decode_object

WIRE: Final = "ollama"
"""The key of this wire in `provider_data`."""


class Function(Struct, gc=False):
    """A called function; some models' templates render the arguments as text."""

    name: str | None = None
    arguments: dict[str, Any] | str | None = None


class ToolCallObject(Struct, gc=False):
    """A tool call; the wire sends it in one piece. Newer versions send an id."""

    function: Function | None = None
    id: str | None = None


class ChatMessage(Struct, gc=False):
    """The addition of one line of `/api/chat`."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCallObject | None] | None = None


class Line(Struct, gc=False):
    """One line: `/api/chat` sends `message`, `/api/generate` sends `response`."""

    model: str | None = None
    message: ChatMessage | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


class PlainMessage(Struct, gc=False):
    """The addition of one line with text and nothing else."""

    content: str
    thinking: Literal["", None] = None
    tool_calls: tuple[()] | None = None


class PlainLine(Struct, gc=False):
    """A line of `/api/chat` with text and nothing else; the last one has `done`."""

    message: PlainMessage
    done: bool | None = None
    error: Literal["", None] = None


decoder = msgspec.json.Decoder(Line)
plain_decoder = msgspec.json.Decoder(PlainLine)

_COUNTED = ("_count", "_duration")


def to_usage(line: Line, payload: bytes) -> Usage:
    """Return the token counts of the last line; `raw` also has its durations, in nanoseconds."""
    fields = decode_object(payload)
    raw = {name: value for name, value in fields.items() if name.endswith(_COUNTED)}
    return Usage(input_tokens=line.prompt_eval_count, output_tokens=line.eval_count, raw=raw)
