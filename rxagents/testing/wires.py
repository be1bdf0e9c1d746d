"""Select the wire that a scripted server speaks by the path of the request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from msgspec import Struct, structs

from rxagents.testing.answers import anthropic, chat_completions, gemini, ollama, responses
from rxagents.testing.requests import anthropic as anthropic_requests
from rxagents.testing.requests import chat_completions as chat_completions_requests
from rxagents.testing.requests import gemini as gemini_requests
from rxagents.testing.requests import ollama as ollama_requests
from rxagents.testing.requests import responses as responses_requests
from rxagents.testing.script import Reply


class ServedWire(Struct, frozen=True):
    """A wire that a scripted server speaks.

    Attributes:
        path: The end of the paths of its requests.
        events: Renders a reply's events, given the model and an id.
        check: Raises `ValueError` for a request that the provider would refuse.
        error_body: Renders an error, given a status and a message.
        content_type: The content type of a stream.
        end: The end marker of a complete stream; empty if the wire has none.
        comment: Bytes that a client must ignore.
    """

    path: str
    events: Callable[[Reply, str, str], list[bytes]]
    check: Callable[[object], None]
    error_body: Callable[[int, str], dict[str, Any]]
    content_type: str
    end: bytes
    comment: bytes


class _Answers(Protocol):
    """A module of `rxagents.testing.answers`."""

    CONTENT_TYPE: str
    END: bytes
    COMMENT: bytes

    def events(self, reply: Reply, model: str, stream_id: str) -> list[bytes]: ...

    def error_body(self, status: int, message: str) -> dict[str, Any]: ...


class _Requests(Protocol):
    """A module of `rxagents.testing.requests`."""

    def check(self, body: object) -> None: ...


def _wire(path: str, answers: _Answers, requests: _Requests) -> ServedWire:
    return ServedWire(
        path,
        answers.events,
        requests.check,
        answers.error_body,
        answers.CONTENT_TYPE,
        answers.END,
        answers.COMMENT,
    )


_OLLAMA = _wire("/api/chat", ollama, ollama_requests)

WIRES = (
    _wire("/chat/completions", chat_completions, chat_completions_requests),
    _wire("/messages", anthropic, anthropic_requests),
    _wire(":streamGenerateContent", gemini, gemini_requests),
    _wire("/responses", responses, responses_requests),
    _OLLAMA,
    structs.replace(_OLLAMA, path="/api/generate", events=partial(ollama.events, generate=True)),
)


def wire_of(path: str) -> ServedWire:
    """Return the wire of a request's path; chat completions for an unknown path."""
    for wire in WIRES:
        if path.partition("?")[0].endswith(wire.path):
            return wire
    return WIRES[0]
