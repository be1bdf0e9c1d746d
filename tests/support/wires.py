"""Each wire as a server speaks it: its events in bytes, for the tests of faults."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

import pytest
from matrix import one_of

from rxagents import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses
from rxagents.providers.provider import Provider
from rxagents.testing import ScriptedServer

KEY = "sk-secret-0123456789abcdef"


class SpokenWire(ABC):
    """Events in bytes, each whole.

    Attributes:
        content_type: What a proper answer has.
        comment: Bytes that say nothing, over and over; empty where the wire has none.
        ends_itself: Whether the last event says that nothing follows.
        has_error_kinds: Whether an error in the stream names its kind.
        is_sse: Whether the stream is one of server-sent events.
    """

    name: str
    content_type = b"text/event-stream"
    comment = b": still here\n\n"
    ends_itself = True
    has_error_kinds = True
    is_sse = True

    def url_of(self, server: ScriptedServer) -> str:
        """Return the base URL for this wire's provider."""
        return f"http://127.0.0.1:{server.port}"

    @abstractmethod
    def model(self, url: str, **arguments: Any) -> Provider: ...

    @abstractmethod
    def start(self) -> bytes:
        """Return an event without text for the user."""

    @abstractmethod
    def text(self, text: str) -> bytes: ...

    @abstractmethod
    def finish(self) -> bytes:
        """Return the events that say why the answer ended."""

    @abstractmethod
    def done(self) -> bytes:
        """Return what ends a stream at once."""

    @abstractmethod
    def error(self, kind: str) -> bytes:
        """Return an error in the stream: overloaded, rate_limit, server or invalid."""

    @abstractmethod
    def raw(self, payload: bytes) -> bytes:
        """Return an event with these bytes for its JSON."""


class ChatCompletions(SpokenWire):
    name = "chat completions"

    def model(self, url: str, **arguments: Any) -> Provider:
        return OpenAI("m", base_url=url, **{"api_key": KEY, **arguments})

    def start(self) -> bytes:
        return self._choice({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        return self._choice({"content": text})

    def finish(self) -> bytes:
        return self._choice({}, "stop")

    def done(self) -> bytes:
        return b"data: [DONE]\n\n"

    def error(self, kind: str) -> bytes:
        words = {
            "overloaded": "overloaded_error",
            "rate_limit": "rate_limit_exceeded",
            "server": "server_error",
            "invalid": "invalid_request_error",
        }
        return self._data({"error": {"message": f"No: {KEY}", "type": words[kind]}})

    def raw(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\n\n"

    def _choice(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return self._data({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _data(self, body: object) -> bytes:
        return self.raw(json.dumps(body).encode())


class AnthropicMessages(SpokenWire):
    name = "anthropic"

    def model(self, url: str, **arguments: Any) -> Provider:
        return Anthropic("m", base_url=url, **{"api_key": KEY, **arguments})

    def start(self) -> bytes:
        message = {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 1}}
        return self._event("message_start", message=message)

    def text(self, text: str) -> bytes:
        return self._event(
            "content_block_delta", index=0, delta={"type": "text_delta", "text": text}
        )

    def finish(self) -> bytes:
        return self._event("message_delta", delta={"stop_reason": "end_turn"}, usage={})

    def done(self) -> bytes:
        return self._event("message_stop")

    def error(self, kind: str) -> bytes:
        words = {
            "overloaded": "overloaded_error",
            "rate_limit": "rate_limit_error",
            "server": "api_error",
            "invalid": "invalid_request_error",
        }
        return self._event("error", error={"type": words[kind], "message": f"No: {KEY}"})

    def raw(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\n\n"

    def _event(self, kind: str, **fields: Any) -> bytes:
        return b"event: " + kind.encode() + b"\n" + self.raw(_json({"type": kind, **fields}))


class GeminiContent(SpokenWire):
    name = "gemini"
    ends_itself = False

    def model(self, url: str, **arguments: Any) -> Provider:
        return Gemini("m", base_url=url, **{"api_key": KEY, **arguments})

    def start(self) -> bytes:
        return self.raw(_json({"usageMetadata": {"promptTokenCount": 1}, "modelVersion": "m"}))

    def text(self, text: str) -> bytes:
        return self._candidate({"content": {"parts": [{"text": text}]}})

    def finish(self) -> bytes:
        return self._candidate({"finishReason": "STOP"})

    def done(self) -> bytes:
        return b""

    def error(self, kind: str) -> bytes:
        codes = {"overloaded": 503, "rate_limit": 429, "server": 500, "invalid": 400}
        return self.raw(_json({"error": {"code": codes[kind], "message": f"No: {KEY}"}}))

    def raw(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\n\n"

    def _candidate(self, candidate: dict[str, Any]) -> bytes:
        return self.raw(_json({"candidates": [candidate]}))


class OllamaChat(SpokenWire):
    name = "ollama"
    content_type = b"application/x-ndjson"
    comment = b"\n"
    has_error_kinds = False
    is_sse = False

    def model(self, url: str, **arguments: Any) -> Provider:
        return Ollama("m", base_url=url, **{"api_key": KEY, **arguments})

    def start(self) -> bytes:
        return self.raw(_json({"model": "m", "message": {"content": ""}, "done": False}))

    def text(self, text: str) -> bytes:
        return self.raw(_json({"message": {"content": text}, "done": False}))

    def finish(self) -> bytes:
        return self.raw(_json({"message": {"content": ""}, "done": True, "done_reason": "stop"}))

    def done(self) -> bytes:
        return b""

    def error(self, kind: str) -> bytes:
        return self.raw(_json({"error": f"{kind}: {KEY}"}))

    def raw(self, payload: bytes) -> bytes:
        return payload + b"\n"


class Responses(SpokenWire):
    name = "openai responses"

    def model(self, url: str, **arguments: Any) -> Provider:
        return OpenAIResponses("m", base_url=url, **{"api_key": KEY, **arguments})

    def start(self) -> bytes:
        return self._event("response.created", response={"id": "resp_1", "model": "m"})

    def text(self, text: str) -> bytes:
        return self._event("response.output_text.delta", delta=text, output_index=0)

    def finish(self) -> bytes:
        response = {"id": "resp_1", "status": "completed", "output": []}
        return self._event("response.completed", response=response)

    def done(self) -> bytes:
        return b""

    def error(self, kind: str) -> bytes:
        codes = {
            "overloaded": "overloaded",
            "rate_limit": "rate_limit_exceeded",
            "server": "server_error",
            "invalid": "invalid_prompt",
        }
        return self._event("error", code=codes[kind], message=f"No: {KEY}")

    def raw(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\n\n"

    def _event(self, kind: str, **fields: Any) -> bytes:
        return b"event: " + kind.encode() + b"\n" + self.raw(_json({"type": kind, **fields}))


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


WIRES: list[SpokenWire] = [
    ChatCompletions(),
    AnthropicMessages(),
    GeminiContent(),
    OllamaChat(),
    Responses(),
]

each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
"""On every wire: for tests of the wires themselves."""

any_wire = one_of("wire", WIRES)
"""On one wire, on all with `--full`: for rules that are the same on every wire."""


def any_wire_of(*names: str) -> pytest.MarkDecorator:
    """Return `any_wire` for a rule that only the wires of these names have."""
    return one_of("wire", [wire for wire in WIRES if wire.name in names])
