"""The wires that a scripted server speaks, told apart by the path of the request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from rxagents.testing.answers import anthropic, chat_completions, gemini, ollama, responses
from rxagents.testing.requests import anthropic as for_anthropic
from rxagents.testing.requests import chat_completions as for_chat_completions
from rxagents.testing.requests import gemini as for_gemini
from rxagents.testing.requests import ollama as for_ollama
from rxagents.testing.requests import responses as for_responses
from rxagents.testing.script import Reply


class ServedWire(Struct, frozen=True):
    """How a wire is served.

    Attributes:
        path: What the path of a request ends with.
        events: Makes a reply's events, given the model and an id.
        check: Raises `ValueError` on a request that the provider would refuse.
        error_body: Makes an error, given a status and a message.
        content_type: The content type of a stream.
        end: What ends a complete answer.
        comment: What says nothing.
    """

    path: str
    events: Callable[[Reply, str, str], list[bytes]]
    check: Callable[[object], None]
    error_body: Callable[[int, str], dict[str, Any]]
    content_type: str
    end: bytes
    comment: bytes


def _ollama(path: str, *, generate: bool) -> ServedWire:
    events = partial(ollama.events, generate=generate)
    return ServedWire(
        path,
        events,
        for_ollama.check,
        ollama.error_body,
        ollama.CONTENT_TYPE,
        ollama.END,
        ollama.COMMENT,
    )


WIRES = (
    ServedWire(
        "/chat/completions",
        chat_completions.events,
        for_chat_completions.check,
        chat_completions.error_body,
        chat_completions.CONTENT_TYPE,
        chat_completions.END,
        chat_completions.COMMENT,
    ),
    ServedWire(
        "/messages",
        anthropic.events,
        for_anthropic.check,
        anthropic.error_body,
        anthropic.CONTENT_TYPE,
        anthropic.END,
        anthropic.COMMENT,
    ),
    ServedWire(
        ":streamGenerateContent",
        gemini.events,
        for_gemini.check,
        gemini.error_body,
        gemini.CONTENT_TYPE,
        gemini.END,
        gemini.COMMENT,
    ),
    ServedWire(
        "/responses",
        responses.events,
        for_responses.check,
        responses.error_body,
        responses.CONTENT_TYPE,
        responses.END,
        responses.COMMENT,
    ),
    _ollama("/api/chat", generate=False),
    _ollama("/api/generate", generate=True),
)


def wire_of(path: str) -> ServedWire:
    """Return the wire that requests to `path` speak; chat completions if no provider has it."""
    for wire in WIRES:
        if path.partition("?")[0].endswith(wire.path):
            return wire
    return WIRES[0]
