"""The endpoint of OpenAI's Responses API."""

from __future__ import annotations

from typing import Any

import pytest
from agent_runs import Calls
from serving import serving

from rxagents import FunctionAgent, ProviderError, RateLimitError, ServerError, ToolCall, Usage
from rxagents.core.events import (
    Answer,
    Complete,
    Reset,
    StreamEvent,
    Token,
    ToolArguments,
    ToolEnd,
    ToolStart,
    TurnStart,
)
from rxagents.serve.responses_encoder import ResponsesEncoder
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time

PATH = "/v1/responses"
ASKS = Reply("I look. ", tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')])


async def test_response() -> None:
    usage = Usage(3, 2, 5, reasoning_tokens=1, cached_tokens=2)
    llm = ScriptedLLM(ASKS, Reply("Cold.", reasoning="hm", usage=usage))
    async with serving(FunctionAgent(llm, [Calls().weather()]), name="oslo") as server:
        status, body = await server.post(PATH, {"input": "Oslo?"})
        assert status == 200
        assert (body["object"], body["model"], body["status"]) == ("response", "oslo", "completed")
        said, call, thought, answer = body["output"]
        assert (call["type"], call["server_label"], call["status"]) == (
            *("mcp_call", "oslo", "completed"),
        )
        assert (call["arguments"], call["output"]) == ('{"city": "Oslo"}', "Oslo is cold")
        assert said["content"][0]["text"] == "I look. "
        assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
        assert (answer["content"][0]["text"], answer["status"]) == ("Cold.", "completed")
        assert body["usage"] == {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 2},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": 5,
        }


async def test_response_as_a_stream() -> None:
    llm = ScriptedLLM(Reply("Hi there.", reasoning="hm", usage=Usage(3, 2, 5)))
    async with serving(FunctionAgent(llm)) as server:
        frames = await server.frames(PATH, {"input": "Hello.", "stream": True})
    kinds = [frame["type"].removeprefix("response.") for frame in frames]
    assert list(dict.fromkeys(kinds)) == [
        *("created", "in_progress", "output_item.added", "reasoning_summary_part.added"),
        *("reasoning_summary_text.delta", "reasoning_summary_text.done"),
        *("reasoning_summary_part.done", "output_item.done", "content_part.added"),
        *("output_text.delta", "output_text.done", "content_part.done", "completed"),
    ]
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert "".join(each.get("delta", "") for each in frames) == "hmHi there."
    assert len({each["response"]["id"] for each in frames if "response" in each}) == 1
    done = [each["item"] for each in frames if each["type"] == "response.output_item.done"]
    assert frames[-1]["response"]["output"] == done
    assert {each["item_id"] for each in frames if "item_id" in each} == {
        each["id"] for each in done
    }


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ServerError("no", status=500), "server_error", 502),
        (RateLimitError("slow", status=429), "rate_limit_exceeded", 429),
    ],
    ids=["server error", "rate limit"],
)
async def test_failed_response(error: ProviderError, code: str, status: int) -> None:
    llm = ScriptedLLM(*(Reply("Half", error=error) for _ in range(2)))
    async with serving(FunctionAgent(llm)) as server:
        *_, last = await server.frames(PATH, {"input": "Hello.", "stream": True})
        assert last["type"] == "response.failed"
        assert last["response"]["error"]["code"] == code
        [half] = last["response"]["output"]
        assert (half["status"], half["content"][0]["text"]) == ("incomplete", "Half")
        assert (await server.post(PATH, {"input": "Hello."}))[0] == status


async def test_truncated_response_is_incomplete() -> None:
    async with serving(FunctionAgent(ScriptedLLM(Reply("Half", finish_reason="length")))) as server:
        _, body = await server.post(PATH, {"input": "Hello."})
        assert body["status"] == "incomplete"
        assert body["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_input_items_are_messages() -> None:
    llm = ScriptedLLM("Cold.")
    items: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Oslo?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "cold"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "It is cold."}],
        },
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "https://x.example/a.png"}],
        },
    ]
    async with serving(FunctionAgent(llm)) as server:
        status, _ = await server.post(PATH, {"input": items, "instructions": "Be short."})
        assert status == 200
    sent = llm.requests[0].messages
    assert [message.role for message in sent] == [
        *("system", "user", "assistant", "tool", "assistant", "user"),
    ]
    assert [message.text for message in sent][:2] == ["Be short.", "Oslo?"]
    assert "https://x.example/a.png" in str(sent[-1])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": [{"type": "web_search"}]}, "calls only its own"),
        ({"previous_response_id": "resp_1"}, "stores no responses"),
        ({"conversation": "conv_1"}, "stores no responses"),
        ({"background": True}, "POST /runs"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input_file"),
        ({"input": []}, "at least one"),
    ],
)
async def test_unusable_requests_are_explained(fields: dict[str, Any], said: str) -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi"))) as server:
        status, body = await server.post(PATH, {"input": "Hello.", **fields})
        assert status == 400
        assert said in body["error"]["message"]
        assert body["error"]["type"] == "invalid_request_error"


def test_call_of_a_text_protocol_has_its_arguments() -> None:
    encoder = ResponsesEncoder({"id": "resp_1"})
    encoder.event(ToolStart("c", "weather", {"city": "Oslo"}))
    encoder.event(ToolEnd("c", "weather", "cold"))
    [call] = encoder.response()["output"]
    assert (call["arguments"], call["output"]) == ('{"city":"Oslo"}', "cold")


def test_call_without_a_result_is_incomplete() -> None:
    encoder = ResponsesEncoder({"id": "resp_1"})
    encoder.event(ToolArguments("c", "weather", '{"ci'))
    encoder.event(Complete(""))
    [call] = encoder.response()["output"]
    assert (call["status"], call["arguments"], call["output"]) == ("incomplete", '{"ci', None)


def test_parallel_calls_are_in_the_order_of_their_indexes() -> None:
    encoder = ResponsesEncoder({"id": "resp_1"})
    events: list[StreamEvent] = [ToolArguments("c1", "one"), ToolArguments("c2", "two")]
    events += [ToolEnd("c2", "two", "2"), ToolEnd("c1", "one", "1"), Token("Done."), Complete("")]
    for event in events:
        encoder.event(event)
    output = encoder.response()["output"]
    assert [item.get("output") for item in output] == ["1", "2", None]


def test_reset_makes_the_items_of_its_turn_void() -> None:
    encoder = ResponsesEncoder({"id": "resp_1"})
    reset = Reset.of(ServerError("cut", status=500))
    events: list[StreamEvent] = [TurnStart(1), Token("Kept."), TurnStart(2), Token("Void.")]
    events += [ToolArguments("c", "weather"), reset, Token("Good."), Complete("Good.")]
    for event in events:
        encoder.event(event)
    texts = [item["content"][0]["text"] for item in encoder.response()["output"]]
    assert texts == ["Kept.", "Good."]


def test_answer_without_tokens_is_text() -> None:
    encoder = ResponsesEncoder({"id": "resp_1"})
    encoder.event(Answer("Cold."))
    encoder.event(Complete("Cold."))
    [item] = encoder.response()["output"]
    assert item["content"][0]["text"] == "Cold."


def test_agent_without_a_result_fails() -> None:
    encoder = ResponsesEncoder({"id": "resp_1"})
    encoder.event(Token("Half"))
    assert b"response.failed" in encoder.end()
    assert encoder.response()["status"] == "failed"
