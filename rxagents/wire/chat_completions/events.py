"""The wire's own objects: only the fields that are read, as wide as the dialects need them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage

WIRE: Final = "chat_completions"
"""The key of this wire in `provider_data`."""

JSON_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)


class Function(Struct, gc=False):
    """A called function; `arguments` is an object on some hosts."""

    name: str | None = None
    arguments: str | dict[str, Any] | list[Any] | None = None


class ToolCallFragment(Struct, gc=False):
    """A fragment of a tool call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(Struct, gc=False):
    """What a choice adds; `content` is a list of parts on some hosts."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallFragment] | None = None
    function_call: Function | None = None
    reasoning_details: list[Any] | None = None


class Choice(Struct, gc=False):
    """One of the answers."""

    delta: Delta | None = None
    index: int | None = 0
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class Event(Struct, gc=False):
    """One event of the stream."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class NamedEvent(Event, gc=False):
    """An event with the stream's id and model, which all events repeat and one is enough for."""

    id: str | None = None
    model: str | None = None


_decoder = msgspec.json.Decoder(NamedEvent)
_nameless_decoder = msgspec.json.Decoder(Event)


def decode_burst(events: bytes, *, named: bool) -> Sequence[Event] | None:
    """Decode the events of one read in one step; `None` where any is more than plain data.

    JSON holds no raw line end, so that nothing but framing is replaced. One decoder call for
    all events costs about two thirds of one call an event.

    Args:
        events: Whole events, each with its blank line.
        named: Whether id and model are known already, and need not be read.
    """
    if not (events.startswith(b"data: {") and events.endswith(b"}\n\n")):
        return None
    lines = events[6:].replace(b"\n\ndata: ", b"\n")
    try:
        return _nameless_decoder.decode_lines(lines) if named else _decoder.decode_lines(lines)
    except JSON_ERRORS:
        return None


def decode_event(payload: bytes) -> tuple[NamedEvent, bool]:
    """Decode one event.

    Returns:
        The event, and whether it had to be read leniently: with lone surrogates, which are no
        text, or with numbers written as text.

    Raises:
        ValueError: It is not JSON, or not such an event.
    """
    try:
        return _decoder.decode(payload), False
    except JSON_ERRORS as error:
        strict_error = error
    try:
        return msgspec.convert(json.loads(payload), NamedEvent, strict=False), True
    except JSON_ERRORS:
        raise ValueError(str(strict_error)) from strict_error


def split_content(content: str | list[Any] | None) -> tuple[str, str]:
    """Return the text and the thinking of a delta's content."""
    if isinstance(content, str):
        return content, ""
    text, thinking = "", ""
    for part in content or ():
        match part:
            case {"type": "text", "text": str(piece)} | str(piece):
                text += piece
            case {"type": "thinking", "thinking": str(piece)}:
                thinking += piece
            case {"type": "thinking", "thinking": list(pieces)}:
                thinking += split_content(pieces)[0]
    return text, thinking


def to_usage(raw: dict[str, Any]) -> Usage:
    """Unify token counts. Some hosts put counts beside the details that OpenAI puts them in."""
    prompt, completion = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    return Usage(
        input_tokens=_count(raw, "prompt_tokens"),
        output_tokens=_count(raw, "completion_tokens"),
        total_tokens=_count(raw, "total_tokens"),
        reasoning_tokens=_first(
            _count(completion, "reasoning_tokens"), _count(raw, "reasoning_tokens")
        ),
        cached_tokens=_first(
            _count(prompt, "cached_tokens"),
            _count(raw, "cached_tokens"),
            _count(raw, "prompt_cache_hit_tokens"),
        ),
        raw=raw,
    )


def _count(counts: object, key: str) -> int | None:
    value = counts.get(key) if isinstance(counts, dict) else None
    return int(value) if isinstance(value, (int, float)) else None


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
