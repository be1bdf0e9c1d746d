"""Each wire as a server speaks it: what the tests of faults need of it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from rxagents import OpenAI
from rxagents.providers.provider import Provider

KEY = "sk-secret-0123456789abcdef"


class SpokenWire(ABC):
    """Events in bytes, each whole.

    Attributes:
        content_type: What a proper answer has.
        comment: Bytes that say nothing, over and over; empty where the wire has none.
    """

    name: str
    content_type = b"text/event-stream"
    comment = b": still here\n\n"

    @abstractmethod
    def model(self, url: str, **arguments: Any) -> Provider: ...

    @abstractmethod
    def start(self) -> bytes:
        """Return an event that tells the user nothing."""

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
        return OpenAI("m", api_key=KEY, base_url=url, **arguments)

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


WIRES: list[SpokenWire] = [ChatCompletions()]
