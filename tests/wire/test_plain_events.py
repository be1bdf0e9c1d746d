"""The plain path of chat completions: only events that lose nothing on it take it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from rxagents.wire.chat_completions.events import Choice, Delta, Event
from rxagents.wire.chat_completions.plain import (
    PlainChoice,
    PlainDelta,
    PlainEvent,
    plain_decoder,
)

FUNCTION = {"name": "add", "arguments": "{}"}
VALUES: dict[type[Struct], dict[str, Any]] = {
    Delta: {
        "reasoning_content": "hm",
        "reasoning": "hm",
        "reasoning_text": "hm",
        "refusal": "no",
        "tool_calls": [{"index": 0, "id": "call_1", "function": FUNCTION}],
        "function_call": FUNCTION,
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
        "images": [{"type": "image_url"}],
        "annotations": [{"type": "url_citation"}],
        "audio": {"id": "audio_1"},
    },
    Choice: {
        "finish_reason": "stop",
        "logprobs": {"content": []},
        "message": {"content": "Hi"},
        "usage": {"prompt_tokens": 1},
        "error": {"message": "It broke."},
    },
    Event: {
        "usage": {"prompt_tokens": 1},
        "error": {"message": "It broke."},
        "message": "It broke.",
        "citations": ["https://example.org/1"],
        "search_results": [{"url": "https://example.org/1"}],
        "timings": {"prompt_n": 1},
        "id": "chatcmpl-1",
        "model": "gpt-5-mini",
        "service_tier": "default",
    },
}
"""A value for each field that the plain path must refuse. `Event`'s names are
refused until they are known."""

PASSED: dict[type[Struct], set[str]] = {
    Delta: {"content"},
    Choice: {"delta", "index"},
    Event: {"choices"},
}
"""The fields that the plain path reads."""

NAMES = frozenset({"id", "model", "service_tier"})

READ_FOR_ERRORS_ONLY: dict[type[Struct], set[str]] = {
    Delta: set(),
    Choice: set(),
    Event: {"object", "type", "code", "status", "status_code", "detail", "base_resp"},
}
"""The fields that are read only of errors: those have a message, or no choices, and the plain path
refuses both."""

PLAIN: dict[type[Struct], type[Struct]] = {
    Delta: PlainDelta,
    Choice: PlainChoice,
    Event: PlainEvent,
}
REFUSED = [(kind, name) for kind, values in VALUES.items() for name in values]


def event_with(kind: type[Struct], field: str, value: object) -> bytes:
    """Return a plain event, except for one field of its delta, its choice or itself."""
    fields: dict[type[Struct], dict[str, Any]] = {Delta: {"content": "Hi"}, Choice: {}, Event: {}}
    fields[kind][field] = value
    choice = {"index": 0, "delta": fields[Delta], **fields[Choice]}
    return msgspec.json.encode({"choices": [choice], **fields[Event]})


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_every_field_is_read_or_refused(kind: type[Struct]) -> None:
    covered = {*VALUES[kind], *PASSED[kind], *READ_FOR_ERRORS_ONLY[kind]}
    assert covered == set(kind.__struct_fields__)


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_plain_structs_have_these_fields(kind: type[Struct]) -> None:
    added_by_plain_decoder = NAMES if kind is Event else set()
    expected = {*VALUES[kind], *PASSED[kind]} - added_by_plain_decoder
    assert set(PLAIN[kind].__struct_fields__) == expected


@pytest.mark.parametrize(
    ("kind", "field"), REFUSED, ids=lambda value: getattr(value, "__name__", value)
)
def test_plain_decoder_refuses_other_values(kind: type[Struct], field: str) -> None:
    decoder = plain_decoder(NAMES)
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(event_with(kind, field, VALUES[kind][field]))
    assert decoder.decode(event_with(kind, field, None)).choices[0].delta.content == "Hi"


def test_known_names_are_skipped() -> None:
    event = event_with(Event, "id", "chatcmpl-1")
    assert plain_decoder(frozenset()).decode(event).choices[0].delta.content == "Hi"
