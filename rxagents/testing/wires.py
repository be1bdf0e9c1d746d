"""Select the wire that a scripted server speaks by the path of the request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from msgspec import Struct, structs

from rxagents.core.errors import ConfigurationError, ProviderError
from rxagents.testing.answers import anthropic, chat_completions, gemini, ollama, responses
from rxagents.testing.requests import anthropic as anthropic_requests
from rxagents.testing.requests import chat_completions as chat_completions_requests
from rxagents.testing.requests import gemini as gemini_requests
from rxagents.testing.requests import ollama as ollama_requests
from rxagents.testing.requests import responses as responses_requests
from rxagents.testing.script import Reply
from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.gemini import GeminiParser
from rxagents.wire.ollama import OllamaParser
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.responses import ResponsesParser


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
        parser: Makes the parser that a client uses.
    """

    path: str
    events: Callable[[Reply, str, str], list[bytes]]
    check: Callable[[object], None]
    error_body: Callable[[int, str], dict[str, Any]]
    content_type: str
    end: bytes
    comment: bytes
    parser: Callable[[StreamInfo], WireParser]

    def check_error(self, reply: Reply, pieces: list[bytes]) -> None:
        """Check that the reply's error arrives as it was scripted.

        Args:
            reply: The reply.
            pieces: Its events.

        Raises:
            ConfigurationError: The wire has no words for the error.
        """
        scripted = reply.error
        if scripted is None or reply.cut_after is not None:
            return
        parser = self.parser(StreamInfo())
        parser.feed(b"".join(pieces), 0.0)
        arrived = parser.error
        # Ollama's errors have no status; the class says it all the same.
        names = [name for name in _ATTRIBUTES if getattr(scripted, name) is not None]
        if arrived is not None and arrived.status is None and "status" in names:
            names.remove("status")
        expected = _shown(scripted, names)
        found = "no error" if arrived is None else _shown(arrived, names)
        if found != expected:
            raise ConfigurationError(
                f"The scripted {expected} cannot be sent on the wire of {self.path}: it would "
                f"arrive as {found}. Leave out what the wire has no field for, or use a "
                "StatusReply."
            )


_ATTRIBUTES = ("status", "request_id", "retryable", "retry_after")


def _shown(error: ProviderError, names: list[str]) -> str:
    shown = ", ".join(f"{name}={getattr(error, name)!r}" for name in names)
    return f"{type(error).__name__}({shown})"


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


def _wire(
    path: str,
    answers: _Answers,
    requests: _Requests,
    parser: Callable[[StreamInfo], WireParser],
) -> ServedWire:
    return ServedWire(
        path,
        answers.events,
        requests.check,
        answers.error_body,
        answers.CONTENT_TYPE,
        answers.END,
        answers.COMMENT,
        parser,
    )


_OLLAMA = _wire("/api/chat", ollama, ollama_requests, OllamaParser)

WIRES = (
    _wire("/chat/completions", chat_completions, chat_completions_requests, ChatCompletionsParser),
    _wire("/messages", anthropic, anthropic_requests, AnthropicParser),
    _wire(":streamGenerateContent", gemini, gemini_requests, GeminiParser),
    _wire("/responses", responses, responses_requests, ResponsesParser),
    _OLLAMA,
    structs.replace(_OLLAMA, path="/api/generate", events=partial(ollama.events, generate=True)),
)


def wire_of(path: str) -> ServedWire:
    """Return the wire of a request's path; chat completions for an unknown path."""
    for wire in WIRES:
        if path.partition("?")[0].endswith(wire.path):
            return wire
    return WIRES[0]
