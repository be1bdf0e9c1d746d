"""A request of chat completions has what its host accepts: names, ids, thinking, signatures."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents import Message, OpenAI, ReasoningPart, Settings, ToolCall
from rxagents.wire.request import ChatRequest


def rendered(url: str, call_id: str, model: str = "m", **stored: Any) -> dict[str, Any]:
    """Return the body of a request with one call; `stored` is the answer's provider data."""
    parts = ReasoningPart("Hm"), ToolCall(call_id, "f", "{}")
    answer = Message("assistant", parts, provider_data={"chat_completions": stored})
    messages = (Message.user("hi"), answer, Message.tool(call_id, "r"))
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


OPENROUTER = {"reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://api.openai.com/v1", set()),
        ("https://mine.openai.azure.com/openai/v1", set()),
        ("https://api.mistral.ai/v1", set()),
        ("https://api.groq.com/openai/v1", {"reasoning"}),
        ("https://api.cerebras.ai/v1", {"reasoning"}),
        ("https://api.deepseek.com", {"reasoning_content", "reasoning", "reasoning_details"}),
    ],
)
def test_hosts_get_only_fields_that_they_accept(url: str, accepted: set[str]) -> None:
    for stored in (
        {"reasoning_field": "reasoning_content"},
        {"reasoning_field": "reasoning"},
        OPENROUTER,
    ):
        answer = rendered(url, "c1", **stored)["messages"][1]
        fields = {stored.get("reasoning_field", "reasoning_details")}
        assert set(answer) - {"role", "content", "tool_calls"} == fields & accepted


SIGNED = {"google": {"thought_signature": "S"}}
FOREIGN = {"google": {"thought_signature": "skip_thought_signature_validator"}}
GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai"


@pytest.mark.parametrize(
    ("url", "model", "stored", "signature"),
    [
        (GOOGLE, "gemini-3-pro-preview", [], FOREIGN),
        (GOOGLE, "gemini-3-pro-preview", [{"call": 0, "extra_content": SIGNED}], SIGNED),
        (GOOGLE, "gemini-2.5-pro", [], None),
        ("https://openrouter.ai/api/v1", "google/gemini-3-pro-preview", [], None),
        ("https://openrouter.ai/api/v1", "m", [{"call": 0, "extra_content": SIGNED}], SIGNED),
        ("https://api.openai.com/v1", "m", [{"call": 0, "extra_content": SIGNED}], None),
    ],
)
def test_signatures_go_to_hosts_that_take_them(
    url: str, model: str, stored: list[Any], signature: Any
) -> None:
    answer = rendered(url, "c1", model, extra_content=stored)["messages"][1]
    assert answer["tool_calls"][0].get("extra_content") == signature
