"""The wire's own objects: only the fields that are read, as wide as the dialects need them."""

from __future__ import annotations

import functools
import json
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count

T = TypeVar("T")

WIRE: Final = "chat_completions"
"""The key of this wire in `provider_data`."""


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
    tool_calls: list[ToolCallFragment | None] | None = None
    function_call: Function | None = None
    reasoning_details: list[Any] | None = None


class Choice(Struct, gc=False):
    """One of the answers."""

    delta: Delta | None = None
    index: int | None = 0
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None


class Event(Struct, gc=False):
    """One event of the stream; what servers send as an error may stand in it at three places."""

    choices: list[Choice | None] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    id: Any = None
    model: Any = None
    object: Any = None
    message: Any = None
    type: Any = None
    code: Any = None

    def told_error(self) -> Any:
        """Return the error that the event tells, or something false."""
        if self.object == "error":
            return self.error or {"message": self.message, "type": self.type, "code": self.code}
        if self.error:
            return self.error
        for choice in self.choices or ():
            if choice is not None and choice.error:
                return choice.error
        return None


Nothing: TypeAlias = Literal["", None]
"""What some hosts write where a field has nothing to tell."""


class PlainDelta(Struct, gc=False):
    """A delta of text and nothing else: whatever else it may hold is empty."""

    content: str = ""
    reasoning_content: Nothing = None
    reasoning: Nothing = None
    refusal: Nothing = None
    tool_calls: tuple[()] | None = None
    function_call: None = None
    reasoning_details: tuple[()] | None = None


class PlainChoice(Struct, gc=False):
    """A choice that goes on."""

    delta: PlainDelta
    index: int = 0
    finish_reason: Nothing = None
    logprobs: None = None
    error: None = None


class PlainEvent(Struct, gc=False):
    """An event with one choice, text and nothing else; by far the most are."""

    choices: tuple[PlainChoice]
    usage: None = None
    error: None = None
    object: Literal["chat.completion.chunk", "", None] = None


decoder = msgspec.json.Decoder(Event)


@functools.cache
def plain_decoder(unknown: frozenset[str]) -> msgspec.json.Decoder[PlainEvent]:
    """Return the decoder of plain events that tell none of the names that are `unknown` yet.

    The decoder itself checks what would otherwise take a dozen comparisons an event. Whatever
    else an event has is skipped, not decoded, so that its nesting is not measured.
    """
    fields = [(name, Nothing, None) for name in sorted(unknown)]
    kind = msgspec.defstruct("PlainEvent", fields, bases=(PlainEvent,), gc=False)
    return msgspec.json.Decoder(kind)


def join_values(events: bytes) -> tuple[bytes, int] | None:
    """Return the JSON of all events of one read, to be decoded in one step, and their number.

    JSON holds no raw line end, so that nothing but framing is replaced. No value goes on from one
    event to the next: `}` and `{` with a tab between them stand neither in a text nor in an object.
    One decoder call for all events of a read costs about two thirds of one call an event.

    Args:
        events: Whole events, each with its blank line.

    Returns:
        `None` where one of them is not a single data line.
    """
    opening = b"data: {" if events.startswith(b"data: {") else b"data:{"
    if not (events.startswith(opening) and events.endswith(b"}\n\n")):
        return None
    values = events[len(opening) - 1 : -2]
    if _LF not in values:  # one event, as in a read of a live stream
        return values, 1
    joined = values.replace(b"}\n\n" + opening, b"}\t{")
    if _LF in joined:  # it is no data line, or goes on with another
        return None
    return joined, (len(values) - len(joined)) // len(opening) + 1


def decode_all(decoder: msgspec.json.Decoder[T], values: bytes, count: int) -> list[T] | None:
    """Decode events; `None` where one must be looked at alone."""
    try:
        events = decoder.decode_lines(values)
    except JSON_ERRORS:
        return None
    # More values than events: one of these is no JSON object, but two.
    return events if len(events) == count else None


_LF = 0x0A
"""As a number: bytes are searched for one ten times as fast as for bytes of length 1."""


def is_plain(event: Event) -> bool:
    """Whether the events that follow are likely to be plain."""
    if event.usage is not None or event.choices is None or len(event.choices) != 1:
        return False
    choice = event.choices[0]
    delta = None if choice is None else choice.delta
    return (
        delta is not None
        and isinstance(delta.content, str)
        and not (delta.reasoning_content or delta.reasoning or delta.reasoning_details)
        and not (delta.tool_calls or delta.function_call or delta.refusal)
    )


def decode_event(payload: bytes) -> tuple[Event, bool]:
    """Decode one event.

    Returns:
        The event, and whether it had to be read leniently: with lone surrogates, which are no
        text, or with numbers written as text.

    Raises:
        ValueError: It is not JSON, or not such an event.
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
    """Return the text and the thinking of a delta's content."""
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
    """Unify token counts. Some hosts put counts beside the details that OpenAI puts them in."""
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
