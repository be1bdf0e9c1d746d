"""OpenAI's client for Node.js, against both of its endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from agent_runs import Calls, served
from js_client import client, needs_js_clients, read, result_of
from matrix import only_full
from serving import serving
from wires import WIRES

from rxagents import (
    FunctionAgent,
    ProviderError,
    RateLimitError,
    ServerError,
    ToolCall,
    Usage,
    tool,
)
from rxagents.testing import Ending, Reply, ScriptedLLM

pytestmark = [pytest.mark.real_time, needs_js_clients]

CALLS = [ToolCall("c1", "weather", '{"city": "Oslo"}'), ToolCall("c2", "broken", "{}")]
ASKS = Reply("I look. ", reasoning="well", tool_calls=CALLS)
COLD = Reply("It is cold.", reasoning="hm", usage=Usage(3, 2, 5))


@tool
async def broken() -> str:
    """Fail."""
    raise ValueError("no such place")


def agent_with_tools(*replies: Any) -> FunctionAgent:
    return FunctionAgent(ScriptedLLM(ASKS, COLD, *replies), [Calls().weather(), broken])


@only_full
async def test_chat_completion_of_node() -> None:
    made = await read("openai.mjs", agent_with_tools(), "chat")
    assert made["error"] is None
    [choice] = made["completion"]["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("It is cold.", "stop")
    assert made["completion"]["usage"]["total_tokens"] == 5


@only_full
async def test_chat_completion_chunks_of_node() -> None:
    made = await read("openai.mjs", agent_with_tools(), "chat-events")
    assert made["error"] is None
    assert (made["text"], made["thought"]) == ("I look. It is cold.", "wellhm")
    assert made["usage"]["total_tokens"] == 5


async def test_chat_completion_stream_helper() -> None:
    made = await read("openai.mjs", agent_with_tools(), "chat-stream")
    assert made["error"] is None
    [choice] = made["completion"]["choices"]
    assert choice["message"]["content"] == made["text"] == "I look. It is cold."
    assert "tool_calls" not in choice["message"]
    assert {"chunk", "content.delta", "content.done"} == set(made["kinds"])
    assert made["usage"]["total_tokens"] == 5


@only_full
@pytest.mark.parametrize("action", ["response", "response-stream"])
async def test_response_has_the_calls_of_the_agent(action: str) -> None:
    made = await read("openai.mjs", agent_with_tools(), action)
    assert made["error"] is None
    response = made["response"]
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["reasoning", "message", "mcp_call", "mcp_call", "reasoning", "message"]
    weather, failed = response["output"][2:4]
    assert (weather["name"], weather["server_label"]) == ("weather", "agent")
    assert (weather["arguments"], weather["output"]) == ('{"city": "Oslo"}', "Oslo is cold")
    assert (weather["status"], failed["status"]) == ("completed", "failed")
    assert "no such place" in failed["error"]["content"][0]["text"]
    assert response["output_text"] == "I look. It is cold."
    assert response["usage"]["total_tokens"] == 5


async def test_response_stream_helper_sees_calls_as_they_appear() -> None:
    made = await read("openai.mjs", agent_with_tools(), "response-stream")
    kinds = list(dict.fromkeys(each.removeprefix("response.") for each in made["kinds"]))
    calls = [kind for kind in kinds if kind.startswith("mcp_call")]
    assert calls[:3] == [
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
    ]
    assert {"mcp_call.completed", "mcp_call.failed"} == set(calls[3:])
    assert kinds[-1] == "completed"
    assert made["text"] == "I look. It is cold."


@only_full
async def test_models_of_node() -> None:
    made = await read("openai.mjs", agent_with_tools(), "models")
    assert (made["error"], made["models"]) == (None, ["agent", "agent"])


@only_full
async def test_node_sends_the_conversation_again() -> None:
    agent = agent_with_tools("Warm.", ASKS, COLD, "Warm.")
    made = await read("openai.mjs", agent, "conversation")
    assert made["error"] is None
    assert made["completion"]["choices"][0]["message"]["content"] == "Warm."
    assert made["response"]["output_text"] == "Warm."
    llm: Any = agent.llm
    assert [each.text for each in llm.requests[2].messages] == ["Oslo?", "It is cold.", "And Rome?"]
    sent = llm.requests[5].messages
    roles = ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert [each.role for each in sent] == roles
    assert "Oslo is cold" in str(sent[2])
    assert "no such place" in str(sent[4])


@only_full
@pytest.mark.parametrize(
    ("error", "name", "status"),
    [
        (RateLimitError("slow down", status=429), "RateLimitError", 429),
        (ServerError("no such luck", status=500), "InternalServerError", 502),
    ],
    ids=["rate limit", "server error"],
)
@pytest.mark.parametrize("action", ["chat", "response"])
async def test_node_reads_a_failure(
    action: str, error: ProviderError, name: str, status: int
) -> None:
    made = await read("openai.mjs", FunctionAgent(ScriptedLLM(Reply("Half", error=error))), action)
    assert (made["error"]["name"], made["error"]["status"]) == (name, status)
    assert str(error) in made["error"]["message"]


@only_full
@pytest.mark.parametrize("action", ["chat-events", "chat-stream"])
async def test_node_reads_a_failure_in_a_chat_stream(action: str) -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no such luck", status=500)))
    made = await read("openai.mjs", FunctionAgent(llm), action)
    assert (made["error"]["name"], made["text"]) == ("APIError", "Half")
    assert "no such luck" in made["error"]["message"]


@only_full
async def test_node_reads_a_failure_in_a_response_stream() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no such luck", status=500)))
    made = await read("openai.mjs", FunctionAgent(llm), "response-stream")
    assert made["kinds"][-1] == "response.failed"
    assert made["text"] == "Half"
    assert "no such luck" in str(made["response"]["error"])


@only_full
@pytest.mark.parametrize("action", ["chat-cancel", "response-cancel"])
async def test_cancel_of_node_closes_the_request(action: str) -> None:
    stalled = Reply("one two three", ending=Ending.STALL, cut_after=5)
    async with served(WIRES[0], stalled) as (provider, llm):
        async with serving(FunctionAgent(llm)) as server:
            async with client("openai.mjs", server, action) as process:
                await provider.disconnected()
                made = await result_of(process)
    assert made["text"].startswith("one")
