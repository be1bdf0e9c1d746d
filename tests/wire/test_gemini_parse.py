"""Gemini's wire: candidates, parts, signatures, blocked prompts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cpu_time import cpu_seconds
from folding import fold

import rxagents
from rxagents import Message, StreamChunk, Tool
from rxagents.wire.gemini import GeminiParser, render_contents
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest


def event(*parts: dict[str, Any], finish: str = "", **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return f"data: {json.dumps({'candidates': [candidate], **more})}\r\n\r\n".encode()


def parse(*events: bytes) -> tuple[list[StreamChunk], GeminiParser]:
    parser = GeminiParser(StreamInfo("gemini"))
    chunks = parser.feed(b"".join(events), 1.0)
    return chunks + parser.flush(1.0), parser


def test_signatures_are_sent_back_in_place() -> None:
    call = {"name": "f", "args": {"a": 1}}
    chunks, _ = parse(
        event({"text": "Hm.", "thought": True}),
        event({"text": "One "}),
        event({"text": "two."}),
        event({"text": "", "thoughtSignature": "s1"}),
        event({"functionCall": call, "thoughtSignature": "s2"}, finish="STOP"),
    )
    response = fold(chunks)
    assert (response.content, response.reasoning) == ("One two.", "Hm.")
    assert response.finish_reason == "tool_calls"
    (made,) = response.tool_calls
    conversation = (Message.user("hi"), response.message, Message.tool(made.id, "ok"))
    body = render_contents(ChatRequest("m", conversation, (Tool(name="f"),)))
    assert body["contents"][1]["parts"] == [
        {"text": "One two."},
        {"text": "", "thoughtSignature": "s1"},
        {"functionCall": {"id": made.id, **call}, "thoughtSignature": "s2"},
    ]


@pytest.mark.parametrize("finishes", [("STOP", ""), ("STOP", "STOP"), ("", "STOP")])
def test_signature_around_the_finish_is_sent_back(finishes: tuple[str, str]) -> None:
    first, second = finishes
    chunks, _ = parse(
        event({"text": "One"}, finish=first),
        event({"text": "", "thoughtSignature": "s1"}, finish=second),
    )
    conversation = (Message.user("hi"), fold(chunks).message, Message.user("go on"))
    body = render_contents(ChatRequest("m", conversation))
    assert body["contents"][1]["parts"] == [{"text": "One"}, {"text": "", "thoughtSignature": "s1"}]


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "OTHER"])
def test_blocked_prompt_finishes_with_content_filter(reason: str) -> None:
    payload = {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 3}}
    chunks, parser = parse(f"data: {json.dumps(payload)}\n\n".encode())
    assert parser.complete
    assert chunks[-1].finish_reason == "content_filter"
    assert chunks[-1].metadata["finish_reason"] == reason
    assert chunks[-1].usage is not None


def test_usage_after_block_is_emitted() -> None:
    names = {"modelVersion": "m", "responseId": "r"}
    events = [
        event({"text": "One"}, promptFeedback={"blockReason": "SAFETY"}, **names),
        event({"text": " two"}, **names),
        event({"text": ""}, usageMetadata={"promptTokenCount": 3}, **names),
    ]
    parser = GeminiParser(StreamInfo("gemini"))
    by_event = [[chunk.delta for chunk in parser.feed(each, 1.0)] for each in events]
    chunks, _ = parse(*events)
    assert by_event == [["One", ""], [" two"], [""]]
    assert [chunk.delta for chunk in chunks] == ["One", "", " two", ""]


def test_every_candidate_must_finish() -> None:
    both = {
        "candidates": [
            {"index": 0, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"index": 1, "content": {"parts": [{"text": "b"}]}},
        ]
    }
    chunks, parser = parse(f"data: {json.dumps(both)}\n\n".encode())
    assert [(chunk.choice, chunk.content) for chunk in chunks] == [(0, "a"), (1, "b")]
    assert not parser.complete


def test_parts_of_event_are_one_chunk() -> None:
    strange = {"executableCode": {"language": "PYTHON", "code": "1"}}
    chunks, _ = parse(
        event({"text": "a"}, strange, {"text": "b"}, finish="MALFORMED_FUNCTION_CALL")
    )
    (chunk,) = chunks
    assert (chunk.delta, chunk.metadata["parts"]) == ("ab", [strange])
    assert chunk.finish_reason == "MALFORMED_FUNCTION_CALL"


def test_error_code_selects_error_class() -> None:
    error = {"error": {"code": 429, "message": "Slow.", "status": "RESOURCE_EXHAUSTED"}}
    _, parser = parse(f"data: {json.dumps(error)}\n\n".encode())
    assert isinstance(parser.error, rxagents.RateLimitError)


def test_received_call_ids_are_kept() -> None:
    chunks, _ = parse(event({"functionCall": {"id": "c1", "name": "f"}}, finish="STOP"))
    (call,) = fold(chunks).tool_calls
    assert (call.id, call.parse()) == ("c1", {})


@pytest.mark.parametrize("call", [{"args": {"a": 1}}, {"name": ""}, {"name": None}])
def test_call_without_name_is_sent_back(call: dict[str, Any]) -> None:
    chunks, _ = parse(event({"functionCall": call, "thoughtSignature": "s"}, finish="STOP"))
    response = fold(chunks)
    (made,) = response.tool_calls
    assert made.name == "unknown"
    result = Message.tool(made.id, "There is no such tool.")
    body = render_contents(ChatRequest("m", (Message.user("hi"), response.message, result)))
    (asked,), (answered,) = (content["parts"] for content in body["contents"][1:])
    assert asked["functionCall"]["name"] == answered["functionResponse"]["name"] == "unknown"
    assert asked["thoughtSignature"] == "s"


def test_repeated_finish_stores_parts_once() -> None:
    chunks, _ = parse(
        event({"text": "One ", "thoughtSignature": "s1"}, finish="STOP"),
        event({"text": "two."}, finish="STOP"),
    )
    response = fold(chunks)
    body = render_contents(ChatRequest("m", (Message.user("hi"), response.message)))
    assert body["contents"][1]["parts"] == [
        {"text": "One ", "thoughtSignature": "s1"},
        {"text": "two."},
    ]


def test_usage_after_finish_is_emitted() -> None:
    counts = json.dumps({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}})
    chunks, _ = parse(event({"text": "a"}, finish="STOP"), f"data: {counts}\n\n".encode())
    usage = fold(chunks).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (3, 4)


def test_nulls_are_ignored() -> None:
    nulls = {"candidates": [None, {"content": {"parts": [None, {"text": "a"}]}}]}
    chunks, parser = parse(f"data: {json.dumps(nulls)}\n\n".encode())
    assert parser.error is None
    assert [chunk.content for chunk in chunks] == ["a"]


def test_error_status_selects_error_class() -> None:
    _, parser = parse(b'data: {"error":{"status":"RESOURCE_EXHAUSTED","message":"Slow."}}\n\n')
    assert isinstance(parser.error, rxagents.RateLimitError)


def test_invalid_call_is_sent_back() -> None:
    chunks, _ = parse(event({"functionCall": "f"}, {"text": "a"}, finish="STOP"))
    response = fold(chunks)
    assert response.tool_calls == ()
    body = render_contents(ChatRequest("m", (Message.user("hi"), response.message)))
    assert {"text": "a"} in body["contents"][1]["parts"]


def test_cost_of_a_candidate_does_not_grow() -> None:
    def cost(count: int) -> float:
        usage = {"promptTokenCount": 1}
        events = [
            event(finish="STOP", usageMetadata=usage).replace(
                b'"index": 0', b'"index": %d' % number
            )
            for number in range(count)
        ]

        def work() -> None:
            parser = GeminiParser(StreamInfo("gemini"))
            for data in events:
                parser.feed(data, 1.0)
            assert parser.complete

        return cpu_seconds(work) / count

    assert cost(6_000) < 4 * cost(300)
