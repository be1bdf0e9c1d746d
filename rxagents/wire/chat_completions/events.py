"""The wire's events, with only the fields that are read and types as wide as the dialects need."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

WIRE: Final = "chat_completions"
"""The key of this wire in `provider_data`."""


class Function(Struct, gc=False):
    """A called function; `arguments` is an object on some hosts."""

    name: str | None = None
    arguments: str | dict[str, Any] | list[Any] | None = None


class ToolCallFragment(Struct, gc=False):
    """A fragment of a tool call; `extra_content` holds Gemini's signature of the call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: Any = None


class Delta(Struct, gc=False):
    """An addition to a choice; `content` is a list of parts on some hosts."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallFragment | None] | None = None
    function_call: Function | None = None
    reasoning_details: list[Any] | None = None


class Choice(Struct, gc=False):
    """One choice of an event."""

    delta: Delta | None = None
    index: int | None = 0
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None


class Event(Struct, gc=False):
    """One event. Servers send errors in three places of it: see `find_error`."""

    choices: list[Choice | None] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    id: Any = None
    model: Any = None
    object: Any = None
    message: Any = None
    type: Any = None
    code: Any = None

    def find_error(self) -> Any:
        """Return the error in the event, or a false value."""
        if self.object == "error":
            return self.error or {"message": self.message, "type": self.type, "code": self.code}
        if self.error:
            return self.error
        for choice in self.choices or ():
            if choice is not None and choice.error:
                return choice.error
        return None


decoder = msgspec.json.Decoder(Event)


def decode_event(payload: bytes) -> tuple[Event, bool]:
    """Decode one event.

    Returns:
        The event, and whether only the lenient decoder could decode it: it has lone surrogates,
        which are not valid text, or numbers written as strings.

    Raises:
        ValueError: It is not JSON, or not an event of this wire.
    """
    try:
        return decoder.decode(payload), False
    except JSON_ERRORS as error:
        strict_error = error
    try:
        return msgspec.convert(json.loads(payload), Event, strict=False), True
    except JSON_ERRORS:
        raise ValueError(str(strict_error)) from strict_error


def split_content(content: str | list[Any] | None) -> tuple[str, str]:
    """Return the text and the thinking in a delta's content."""
    if isinstance(content, str):
        return content, ""
    text, thinking = "", ""
    for part in content or ():
        match part:
            case str(piece) | {"type": "text", "text": str(piece)}:
                text += piece
            case {"type": "thinking", "thinking": str(piece)}:
                thinking += piece
            case {"type": "thinking", "thinking": list(pieces)}:
                thinking += "".join(map(_text, pieces))
    return text, thinking


def _text(part: object) -> str:
    match part:
        case str(piece) | {"type": "text", "text": str(piece)}:
            return piece
    return ""


def to_usage(raw: dict[str, Any]) -> Usage:
    """Convert token counts. Some hosts send counts beside the details that OpenAI puts them in."""
    prompt, completion = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    return Usage(
        input_tokens=read_count(raw, "prompt_tokens"),
        output_tokens=read_count(raw, "completion_tokens"),
        total_tokens=read_count(raw, "total_tokens"),
        reasoning_tokens=_first(
            read_count(completion, "reasoning_tokens"), read_count(raw, "reasoning_tokens")
        ),
        cached_tokens=_first(
            read_count(prompt, "cached_tokens"),
            read_count(raw, "cached_tokens"),
            read_count(raw, "prompt_cache_hit_tokens"),
        ),
        raw=raw,
    )


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
