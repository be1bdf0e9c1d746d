"""Compare what each vendor's SDK reads from a recorded stream with what rxagents reads."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytest

from rxagents import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses, Response, Usage
from rxagents.providers.provider import Provider

FOLDER = os.environ.get("RXAGENTS_RECORDINGS", "")

needs_recordings = pytest.mark.skip(
    reason="RXAGENTS_RECORDINGS names no folder of recorded streams"
)

Counts = list[tuple[int | None, int | None]]


class Reader(ABC):
    """Compares one provider's streams.

    Attributes:
        model: Makes the provider's model.
    """

    model: Callable[..., Provider]

    def answers(self, decoded: dict[str, Any]) -> dict[int, dict[str, Any]]:
        """Return what the SDK reads, by choice."""
        return {0: decoded}

    @abstractmethod
    def seen(self, response: Response) -> dict[str, Any]:
        """Return our reading in the SDK's terms."""

    @abstractmethod
    def counts(self, usage: Usage, theirs: dict[str, Any]) -> Counts:
        """Return pairs of our counts and the SDK's."""


class ChatCompletionsReader(Reader):
    model = OpenAI

    def answers(self, decoded: dict[str, Any]) -> dict[int, dict[str, Any]]:
        return {int(number): answer for number, answer in decoded["choices"].items()}

    def seen(self, response: Response) -> dict[str, Any]:
        return {
            "text": response.content,
            "thinking": response.reasoning,
            "refusal": response.refusal,
            "tools": _tools(response),
            "finish": response.finish_reason or None,
        }

    def counts(self, usage: Usage, theirs: dict[str, Any]) -> Counts:
        prompt = theirs.get("prompt_tokens_details") or {}
        completion = theirs.get("completion_tokens_details") or {}
        return [
            (usage.input_tokens, theirs["prompt_tokens"]),
            (usage.output_tokens, theirs["completion_tokens"]),
            (usage.total_tokens, theirs["total_tokens"]),
            (usage.cached_tokens, prompt.get("cached_tokens")),
            (usage.reasoning_tokens, completion.get("reasoning_tokens")),
        ]


class AnthropicReader(Reader):
    model = Anthropic

    def seen(self, response: Response) -> dict[str, Any]:
        return {
            "text": response.content,
            "thinking": response.reasoning,
            "tools": _parsed_tools(response),
            "finish": response.metadata["finish_reason"],
        }

    def counts(self, usage: Usage, theirs: dict[str, Any]) -> Counts:
        details = theirs.get("output_tokens_details") or {}
        return [
            (usage.input_tokens, theirs["input_tokens"]),
            (usage.output_tokens, theirs["output_tokens"]),
            (usage.cached_tokens, theirs["cache_read_input_tokens"]),
            (usage.reasoning_tokens, details.get("thinking_tokens")),
        ]


class GeminiReader(Reader):
    model: Callable[..., Provider] = Gemini

    def answers(self, decoded: dict[str, Any]) -> dict[int, dict[str, Any]]:
        return {0: {**decoded, "tools": _without_ids(decoded["tools"])}}

    def seen(self, response: Response) -> dict[str, Any]:
        return {
            "text": response.content,
            "thinking": response.reasoning,
            "tools": _without_ids(_parsed_tools(response)),
            "finish": response.metadata["finish_reason"],
        }

    def counts(self, usage: Usage, theirs: dict[str, Any]) -> Counts:
        return [
            (usage.input_tokens, theirs.get("prompt_token_count")),
            (usage.output_tokens, theirs.get("candidates_token_count")),
            (usage.total_tokens, theirs.get("total_token_count")),
            (usage.reasoning_tokens, theirs.get("thoughts_token_count")),
            (usage.cached_tokens, theirs.get("cached_content_token_count")),
        ]


class OllamaReader(GeminiReader):
    model = Ollama

    def counts(self, usage: Usage, theirs: dict[str, Any]) -> Counts:
        return [
            (usage.input_tokens, theirs["prompt_eval_count"]),
            (usage.output_tokens, theirs["eval_count"]),
        ]


class ResponsesReader(Reader):
    model = OpenAIResponses

    def seen(self, response: Response) -> dict[str, Any]:
        cut = response.finish_reason in {"length", "content_filter"}
        return {
            "text": response.content,
            "thinking": response.reasoning,
            "tools": _tools(response),
            "finish": "response.incomplete" if cut else "response.completed",
        }

    def counts(self, usage: Usage, theirs: dict[str, Any]) -> Counts:
        return [
            (usage.input_tokens, theirs["input_tokens"]),
            (usage.output_tokens, theirs["output_tokens"]),
            (usage.total_tokens, theirs["total_tokens"]),
            (usage.cached_tokens, theirs["input_tokens_details"]["cached_tokens"]),
            (usage.reasoning_tokens, theirs["output_tokens_details"]["reasoning_tokens"]),
        ]


READERS: dict[str, Reader] = {
    "openai_chat": ChatCompletionsReader(),
    "anthropic": AnthropicReader(),
    "gemini": GeminiReader(),
    "ollama": OllamaReader(),
    "openai_responses": ResponsesReader(),
}


def _tools(response: Response) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "name": call.name, "arguments": call.arguments}
        for call in response.tool_calls
    ]


def _parsed_tools(response: Response) -> list[dict[str, Any]]:
    return [{**tool, "arguments": json.loads(tool["arguments"])} for tool in _tools(response)]


def _without_ids(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the ids: the wire has none, and we make some."""
    return [{"name": tool["name"], "arguments": tool["arguments"]} for tool in tools]
