"""Requests that chat pages and editors send to an endpoint of OpenAI's."""

from __future__ import annotations

from typing import Any

import pytest
from serving import serving

from rxagents import FunctionAgent
from rxagents.testing import ScriptedLLM

pytestmark = pytest.mark.real_time

CHAT = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
HELLO = [{"role": "user", "content": "Hello."}]

SETTINGS: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 1,
    "max_tokens": 1024,
    "max_completion_tokens": 1024,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "stop": ["\n\n"],
    "seed": 7,
    "logit_bias": None,
    "logprobs": False,
    "top_logprobs": None,
    "n": 1,
    "response_format": {"type": "text"},
    "reasoning_effort": "low",
    "user": "ada",
    "metadata": {"chat": "1"},
    "store": False,
    "service_tier": "auto",
}

BODIES: dict[str, dict[str, Any]] = {
    "open webui": {
        **SETTINGS,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [],
        "chat_id": "1",
        "features": {"web_search": False},
    },
    "librechat": {
        "stream": True,
        "stream_options": {"include_usage": None},
        "tools": None,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "user": "ada",
    },
    "continue": {"max_tokens": 2048, "stream": True, "stop": None, "tool_choice": "none"},
    "nulls": {"stream": None, "stream_options": None, "model": None, "n": None, "functions": []},
    "tools that may not be called": {"tools": [TOOL], "tool_choice": "none"},
}


@pytest.mark.parametrize("name", BODIES)
async def test_usual_requests_are_answered(name: str) -> None:
    async with serving(FunctionAgent(ScriptedLLM("Hi."))) as server:
        status, body = await server.post(
            CHAT, {"model": "agent", "messages": HELLO, **BODIES[name]}
        )
        assert status == 200, body
        assert "Hi." in str(body)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": [TOOL]}, "1 tools, but the agent calls only its own"),
        ({"tools": [TOOL], "tool_choice": "auto"}, 'tool_choice="none"'),
        ({"functions": [TOOL["function"]]}, "calls only its own"),
        ({"n": 2}, "n is 2"),
        ({"n": 0}, "n is 0"),
    ],
    ids=["tools", "tools and auto", "functions", "two answers", "no answer"],
)
async def test_what_an_agent_cannot_do_is_refused(fields: dict[str, Any], said: str) -> None:
    async with serving(FunctionAgent(ScriptedLLM("Hi."))) as server:
        status, body = await server.post(CHAT, {"messages": HELLO, **fields})
        assert status == 400
        assert said in body["error"]["message"]


async def test_messages_of_completions_are_read_again() -> None:
    llm = ScriptedLLM("Bye.")
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    rest: dict[str, Any] = {
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
    }
    messages: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "Oslo?"}], "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [call], **rest},
        {"role": "tool", "tool_call_id": "c", "content": "cold"},
        {"role": "assistant", "content": "It is cold.", "tool_calls": None, **rest},
        {"role": "assistant", "content": None, "refusal": "I may not."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "Bye?"},
    ]
    async with serving(FunctionAgent(llm)) as server:
        status, body = await server.post(CHAT, {"messages": messages})
    assert status == 200, body
    texts = [each.text for each in llm.requests[0].messages if each.role != "tool"]
    assert texts == ["Be short.", "Oslo?", "", "It is cold.", "I may not.", "No.", "Bye?"]


@pytest.mark.parametrize("tools", [[], None, [TOOL]], ids=["none", "null", "not to be called"])
async def test_responses_take_tools_that_are_not_called(tools: Any) -> None:
    body = {"model": None, "input": "Hello.", "tools": tools, "tool_choice": "none"}
    async with serving(FunctionAgent(ScriptedLLM("Hi."))) as server:
        status, response = await server.post("/v1/responses", {**body, "temperature": 1})
    assert status == 200, response
    assert response["status"] == "completed"
