"""Make chunks, events and tool calls in a short form, for marble strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxagents.core.chunks import StreamChunk, ToolCallDelta
from rxagents.core.events import Answer, Reasoning, Thought, Token, ToolEnd, ToolStart
from rxagents.core.json_text import encode_json
from rxagents.core.messages import ToolCall
from rxagents.core.usage import Usage


def chunk(
    text: str = "",
    *,
    finish: str = "",
    reasoning: str = "",
    calls: tuple[ToolCallDelta, ...] = (),
    usage: Usage | None = None,
) -> StreamChunk:
    """Make a chunk with a text, a finish reason, thinking or parts of tool calls."""
    return StreamChunk(
        text, finish_reason=finish, reasoning=reasoning, tool_calls=calls, usage=usage
    )


def token(text: str, section: str = "") -> Token:
    """Make a `Token` event."""
    return Token(text, section)


def reasoning(text: str) -> Reasoning:
    """Make a `Reasoning` event."""
    return Reasoning(text)


def thought(text: str) -> Thought:
    """Make a `Thought` event."""
    return Thought(text)


def answer(text: str) -> Answer:
    """Make an `Answer` event."""
    return Answer(text)


def tool_call(name: str, arguments: Mapping[str, Any] | None = None, *, id: str = "") -> ToolCall:  # noqa: A002  # the field's name
    """Make a `ToolCall`; without an `id`, any id is as good, and without arguments any."""
    return ToolCall(id, name, "" if arguments is None else encode_json(dict(arguments)))


def tool_start(name: str, arguments: Mapping[str, Any] | None = None) -> ToolStart:
    """Make a `ToolStart` event of any call; without arguments, any are as good."""
    return ToolStart("", name, dict(arguments or {}))


def tool_end(name: str, result: str = "") -> ToolEnd:
    """Make a `ToolEnd` event of any call; without a result, any is as good."""
    return ToolEnd("", name, result)
