"""What a request of chat completions owes to its host: the limit's name, and ids of calls."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents import Message, OpenAI, Settings, ToolCall
from rxagents.wire.request import ChatRequest


def rendered(url: str, call_id: str, model: str = "m") -> dict[str, Any]:
    messages = (Message.user("hi"), Message.assistant(ToolCall(call_id, "f", "{}")),
                Message.tool(call_id, "r"))  # fmt: skip
    llm = OpenAI(model, api_key="k-0123456789", base_url=url)
    return dict(llm._render(ChatRequest(model, messages, settings=Settings(max_tokens=9))))


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://us.api.openai.com/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/deployments/d?api-version=1",
         "max_completion_tokens"),
        ("https://mine.cognitiveservices.azure.com/openai/v1", "max_completion_tokens"),
        ("https://mine.services.ai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://mine.services.ai.azure.com/models", "max_tokens"),
        ("https://api.openai.com.evil.test/v1", "max_tokens"),
        ("https://fakeapi.openai.com/v1", "max_tokens"),
        ("https://openrouter.ai/api/v1", "max_tokens"),
    ],
)  # fmt: skip
def test_limit_is_named_as_the_host_knows_it(url: str, field: str) -> None:
    body = rendered(url, "c1")
    assert {name for name in body if name.startswith("max_")} == {field}
    assert body[field] == 9


@pytest.mark.parametrize(
    ("url", "model", "call_id", "length"),
    [
        ("https://api.openai.com/v1", "m", "x" * 41, 29),
        ("https://api.openai.com/v1", "m", "x" * 40, 40),
        ("https://api.mistral.ai/v1", "m", "call_1", 9),
        ("https://api.mistral.ai/v1", "m", "abcdefghij", 9),
        ("http://localhost:8000/v1", "mistralai/Ministral-8B", "call_1", 9),
        ("http://localhost:8000/v1", "qwen", "functions.f:0", 13),
        ("http://localhost:8000/v1", "qwen", "x" * 500, 500),
    ],
)
def test_ids_fit_the_host(url: str, model: str, call_id: str, length: int) -> None:
    _, answer, result = rendered(url, call_id, model)["messages"]
    sent = answer["tool_calls"][0]["id"]
    assert len(sent) == length
    assert result["tool_call_id"] == sent
    assert (sent == call_id) == (len(call_id) == length)
