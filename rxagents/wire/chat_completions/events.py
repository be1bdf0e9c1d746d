"""The wire's events, with only the fields that are read and types as wide as the dialects need."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.usage import Usage
from rxagents.wire.counts import read_count
from rxagents.wire.errors import is_error_body

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
    reasoning_text: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallFragment | None] | None = None
    function_call: Function | None = None
    reasoning_details: list[Any] | None = None
    images: list[Any] | None = None
    annotations: list[Any] | None = None
    audio: dict[str, Any] | None = None


class Choice(Struct, gc=False):
    """One choice of an event; some hosts send the text in `message`, and usage here."""

    delta: Delta | None = None
    message: Delta | None = None
    index: int | None = 0
    finish_reason: str | None = None
    logprobs: Any = None
    usage: dict[str, Any] | None = None
    error: Any = None


class Event(Struct, gc=False):
    """One event. Servers send errors in several places of it: see `find_error`."""

    choices: list[Choice | None] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    id: Any = None
    model: Any = None
    service_tier: Any = None
    object: Any = None
    message: Any = None
    type: Any = None
    code: Any = None
    status: Any = None
    status_code: Any = None
    detail: Any = None
    base_resp: Any = None
    citations: list[Any] | None = None
    search_results: list[Any] | None = None
    timings: dict[str, Any] | None = None

    def find_error(self) -> Any:
        """Return the error in the event, or a false value."""
        if self.object == "error":
            return self.error or {"message": self.message, "type": self.type, "code": self.code}
        if self.error and (self.status_code or self.status or self.code):
            names = ("error", "status_code", "status", "code")
            return {name: getattr(self, name) for name in names}
        if self.error:
            return self.error
        if not self.choices:
            body = {name: getattr(self, name) for name in _ERROR_FIELDS}
            return body if is_error_body(body) else None
        for choice in self.choices or ():
            if choice is not None and choice.error:
                return choice.error
        return None


_ERROR_FIELDS = ("message", "type", "code", "status", "status_code", "detail", "base_resp")

decoder = msgspec.json.Decoder(Event)


def split_content(content: str | list[Any] | None) -> tuple[str, str]:
    """Return the text and the thinking in a delta's content."""
    if isinstance(content, str):
        return content, ""
    text, thinking = "", ""
    for part in content or ():
        match part:
            case str(piece) | {"type": "text" | "output_text", "text": str(piece)}:
                text += piece
            case {"type": "thinking" | "reasoning" as name}:
                fields = (part.get(field) for field in (name, "text", "summary", "content"))
                thinking += next((piece for piece in map(_text, fields) if piece), "")
    return text, thinking


def thinking_in(delta: Delta) -> tuple[str, str]:
    """Return the thinking in a delta's own fields, and the field to send it back in."""
    if delta.reasoning_content:
        return delta.reasoning_content, "reasoning_content"
    if delta.reasoning:
        return delta.reasoning, "reasoning"
    if delta.reasoning_text:
        return delta.reasoning_text, "reasoning_text"
    return _text(delta.reasoning_details), ""


def _text(value: object) -> str:
    """Return the text of a part, or of a list of parts."""
    match value:
        case str():
            return value
        case list():
            return "".join(map(_text, value))
        case {"text": str(piece)} | {"summary": str(piece)}:
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
