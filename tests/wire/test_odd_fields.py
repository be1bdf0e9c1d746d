"""Odd fields, cut characters, odd errors and cut calls: the same rules on every wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folding import fold

import rxagents
from rxagents import ProviderError, Response
from rxagents.core.chunks import ToolCallDelta
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.chat_completions.events import Event
from rxagents.wire.errors import decode_body, parse_error
from rxagents.wire.gemini import GeminiParser
from rxagents.wire.lenient import decode_leniently
from rxagents.wire.ollama import OllamaParser
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses import ResponsesParser

PARSERS: dict[str, Any] = {
    "chat": ChatCompletionsParser,
    "anthropic": AnthropicParser,
    "gemini": GeminiParser,
    "ollama": OllamaParser,
    "responses": ResponsesParser,
}
each_wire = pytest.mark.parametrize("wire", PARSERS)


def text_event(wire: str, text: str, **more: Any) -> dict[str, Any]:
    events: dict[str, dict[str, Any]] = {
        "chat": {"choices": [{"index": 0, "delta": {"content": text}}]},
        "anthropic": {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        },
        "gemini": {"candidates": [{"content": {"parts": [{"text": text}]}}]},
        "ollama": {"model": "m", "message": {"content": text}, "done": False},
        "responses": {"type": "response.output_text.delta", "delta": text},
    }
    return more | events[wire]


def call_events(wire: str, arguments: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return a call; `None` is one whose arguments have not come."""
    text = "" if arguments is None else json.dumps(arguments)
    given = {} if arguments is None else arguments
    item = {"type": "function_call", "id": "i", "call_id": "c", "name": "wipe"}
    function = {"name": "wipe", "arguments": text}
    block = {"type": "tool_use", "id": "c", "name": "wipe", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": text}
    events: dict[str, list[dict[str, Any]]] = {
        "chat": [{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}],
        "anthropic": [
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
        ],
        "gemini": [
            {"candidates": [{"content": {"parts": [{"functionCall": function | {"args": given}}]}}]}
        ],
        "ollama": [
            {"message": {"tool_calls": [{"function": {"name": "wipe", "arguments": given}}]}}
        ],
        "responses": [
            {"type": "response.output_item.added", "item": item | {"arguments": ""}},
            {"type": "response.output_item.done", "item": item | {"arguments": text}},
        ],
    }
    return events[wire]


def finish_event(wire: str, word: str) -> dict[str, Any]:
    status = "completed" if word == "completed" else "incomplete"
    reason = {"incomplete_details": {"reason": word}} if status == "incomplete" else {}
    events: dict[str, dict[str, Any]] = {
        "chat": {"choices": [{"delta": {}, "finish_reason": word}]},
        "anthropic": {"type": "message_delta", "delta": {"stop_reason": word}},
        "gemini": {"candidates": [{"finishReason": word}]},
        "ollama": {"done": True, "done_reason": word},
        "responses": {"type": f"response.{status}", "response": {"status": status, **reason}},
    }
    return events[wire]


WHOLE = {
    "chat": "tool_calls",
    "anthropic": "tool_use",
    "gemini": "STOP",
    "ollama": "stop",
    "responses": "completed",
}


def parse(
    wire: str, *events: object, raw: bytes | None = None, size: int | None = None
) -> tuple[Response, ProviderError | None, int]:
    """Return the response, the error, and the number of sealed calls."""
    frame = b"%s\n" if wire == "ollama" else b"data: %s\n\n"
    body = b"".join(frame % json.dumps(event).encode() for event in events)
    body = raw if raw is not None else body
    parser = PARSERS[wire](StreamInfo("acme"))
    chunks = []
    for start in range(0, len(body), size or len(body)):
        chunks += parser.feed(body[start : start + (size or len(body))], 1.0)
    chunks += parser.flush(1.0)
    for chunk in chunks:
        json.dumps(chunk.metadata, ensure_ascii=False).encode()
        chunk.finish_reason.encode()
    sealed = sum(delta.sealed for chunk in chunks for delta in chunk.tool_calls)
    return fold(chunks), parser.error, sealed


@each_wire
@pytest.mark.parametrize(
    "odd",
    [
        {"id": 5, "model": ["m"], "item_id": 5},
        {"usage": float("nan"), "usageMetadata": "none", "eval_count": "many"},
        {"index": "0", "output_index": "0", "content_index": 0.0},
        {"service_tier": "\ud83d", "id": "\udc00", "logprobs": {"\ud83d": "\ud83d"}},
        {"x": 10**30, "model": 10**30},
    ],
    ids=["ids", "usage", "indexes", "half characters", "long numbers"],
)
def test_odd_field_ends_no_stream(wire: str, odd: dict[str, Any]) -> None:
    events = [text_event(wire, "a"), text_event(wire, "b", **odd), None, text_event(wire, "c")]
    for size in (None, 1):
        response, error, _ = parse(wire, *events, size=size)
        assert error is None
        assert response.content == "abc"


@each_wire
@pytest.mark.parametrize("field", ["id", "x"])
def test_invalid_utf8_outside_of_text_ends_no_stream(wire: str, field: str) -> None:
    frame = b"%s\n" if wire == "ollama" else b"data: %s\n\n"
    events = [json.dumps(text_event(wire, text, **{field: "~"})).encode() for text in "abc"]
    bad = frame % events[0] + frame % events[1].replace(b"~", b"\xff") + frame % events[2]
    for size in (None, len(frame % events[0]), 1):
        response, error, _ = parse(wire, raw=bad, size=size)
        assert (error, response.content) == (None, "abc")


@each_wire
def test_invalid_utf8_in_text_is_typed_error(wire: str) -> None:
    frame = b"%s\n" if wire == "ollama" else b"data: %s\n\n"
    good, bad = (frame % json.dumps(text_event(wire, text)).encode() for text in "a~")
    response, error, _ = parse(wire, raw=good + bad.replace(b"~", b"\xff"))
    assert response.content == "a"
    assert isinstance(error, rxagents.StreamDecodeError)


@each_wire
def test_halves_of_a_character_are_joined(wire: str) -> None:
    texts = ["a\ud83d", "\ude00b", "\udc00c", "d\ud83d"]
    events = [text_event(wire, text) for text in texts]
    for size in (None, 1):
        response, error, _ = parse(wire, *events, finish_event(wire, WHOLE[wire]), size=size)
        assert (error, response.content) == (None, "a\U0001f600b\ufffdcd\ufffd")


@each_wire
@pytest.mark.parametrize("word", ["abort", "network_error", "load", "MALFORMED_FUNCTION_CALL"])
@pytest.mark.parametrize("text", [True, False])
def test_unknown_finish_seals_no_empty_call(wire: str, word: str, text: bool) -> None:
    events = [text_event(wire, "so")] if text and wire != "anthropic" else []
    response, error, sealed = parse(
        wire, *events, *call_events(wire, None), finish_event(wire, word)
    )
    assert (error, sealed, response.finish_reason) == (None, 0, word)


@each_wire
@pytest.mark.parametrize("arguments", [None, {"a": 1}], ids=["no arguments", "arguments"])
def test_known_finish_seals_call(wire: str, arguments: dict[str, Any] | None) -> None:
    events = [*call_events(wire, arguments), finish_event(wire, WHOLE[wire])]
    response, error, sealed = parse(wire, *events)
    assert (error, sealed, response.finish_reason) == (None, 1, "tool_calls")
    assert response.tool_calls[0].parse() == (arguments or {})


@each_wire
@pytest.mark.parametrize(
    ("event", "name", "says"),
    [
        ({"code": 429, "message": "Slow down."}, "RateLimitError", "Slow down."),
        ({"code": 500, "message": "No.", "data": {"answer": ""}}, "ServerError", "No."),
        ({"detail": "Not here."}, "ServerError", "Not here."),
        ({"base_resp": {"status_code": 1008, "status_msg": "No credit."}}, "", "No credit."),
        ({"error": {"message": "Busy."}, "status_code": 503}, "OverloadedError", "Busy."),
        (
            {"error": {"message": "Failed", "code": 429, "metadata": {"raw": "upstream is full"}}},
            "RateLimitError",
            "Failed: upstream is full",
        ),
    ],
    ids=["code", "data", "detail", "base_resp", "status beside", "raw"],
)
@pytest.mark.parametrize("first", [True, False])
def test_error_without_error_field(
    wire: str, event: dict[str, Any], name: str, says: str, first: bool
) -> None:
    events = [event] if first else [text_event(wire, "a"), event]
    response, error, _ = parse(wire, *events)
    assert type(error) is getattr(rxagents, name or "ServerError")
    assert says in str(error)
    assert response.content == ("" if first else "a")


@pytest.mark.parametrize("body", [{"code": 0, "message": "ok"}, {"base_resp": {"status_code": 0}}])
def test_success_code_is_no_error(body: dict[str, Any]) -> None:
    assert parse("chat", body, text_event("chat", "a"))[1] is None


@pytest.mark.parametrize("size", [None, 1, 40])
def test_text_in_message_is_read(size: int | None) -> None:
    def event(delta: str, message: str) -> dict[str, Any]:
        return {"choices": [{"delta": {"content": delta}, "message": {"content": message}}]}

    only = [{"choices": [{"delta": {}, "message": {"content": text}}]} for text in "ab"]
    assert parse("chat", *only, size=size)[0].content == "ab"
    beside = [event("a", "a"), event("b", "ab"), event("", "ab"), event("", "abc")]
    assert parse("chat", *beside, size=size)[0].content == "abc"


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_text": "hm"},
        {"reasoning_content": {"text": "hm"}},
        {"reasoning_details": [{"type": "reasoning.text", "text": "h"}, {"summary": "m"}]},
        {"content": [{"type": "reasoning", "summary": [{"text": "h"}, {"text": "m"}]}]},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_thinking_in_all_its_fields(delta: dict[str, Any]) -> None:
    response, error, _ = parse("chat", {"choices": [{"delta": delta}]}, text_event("chat", "a"))
    assert (error, response.reasoning, response.content) == (None, "hm", "a")


def test_usage_may_stand_in_choice() -> None:
    choice = {"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}
    response, _, _ = parse("chat", text_event("chat", "a"), {"choices": [choice]})
    assert response.usage is not None
    assert response.usage.input_tokens == 3


def test_one_object_stands_for_a_list_of_calls() -> None:
    call = {"id": 7, "index": "0", "function": {"name": "f", "arguments": "{}"}}
    event = {"choices": {"delta": {"tool_calls": call}, "finish_reason": "tool_calls"}}
    response, error, sealed = parse("chat", event)
    assert (error, sealed) == (None, 1)
    assert [(c.id, c.name) for c in response.tool_calls] == [("7", "f")]


@pytest.mark.parametrize("arguments", ['{"x": 1}', {"x": 1}, "not JSON"], ids=str)
def test_gemini_arguments_may_be_text(arguments: object) -> None:
    part = {"functionCall": {"name": "f", "args": arguments}}
    event = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    (call,) = parse("gemini", event)[0].tool_calls
    assert call.arguments == arguments or call.parse() == {"x": 1}


@pytest.mark.parametrize("ids", [["a_2", "a", "a"], ["call_1", ""], ["", "call_0"], ["a", "", "a"]])
def test_calls_never_share_an_id(ids: list[str]) -> None:
    assembler = ToolCallAssembler()
    deltas = [ToolCallDelta(n, call_id, "f", "{}", sealed=True) for n, call_id in enumerate(ids)]
    sealed = [assembler.add(delta) for delta in deltas]
    assert sealed == list(assembler.calls())
    assert len({call.id for call in assembler.calls()}) == len(ids)


def test_error_body_may_be_framed() -> None:
    body = b'data: {"error": {"message": "Busy."}}\r\n\r\ndata: [DONE]\r\n\r\n'
    assert parse_error(decode_body(body)).message == "Busy."


def test_deep_field_that_is_skipped_does_not_depend_on_splits() -> None:
    events = [text_event("chat", "a"), text_event("chat", "b"), text_event("chat", "c")]
    frames = [b"data: %s\n\n" % json.dumps(event).encode() for event in events]
    frames[1] = frames[1].replace(b'{"choices"', b'{"x":' + b"[" * 200 + b"]" * 200 + b',"choices"')
    for size in (None, len(frames[0]), 1):
        response, error, _ = parse("chat", raw=b"".join(frames), size=size)
        assert (error, response.content) == (None, "abc")


@pytest.mark.parametrize("payload", [b"[1]", b'"x"', b"{oops}"])
def test_lenient_reading_needs_an_object(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON object|Expecting"):
        decode_leniently(payload, Event)


@pytest.mark.parametrize("rest", ['{"a": 1}', ""], ids=["arguments", "nothing"])
def test_empty_object_before_arguments_is_dropped(rest: str) -> None:
    def pieces(wire: str) -> list[dict[str, Any]]:
        (first, *others) = call_events(wire, None)
        if wire == "responses":
            first["item"] = {**first["item"], "arguments": "{}"}
            delta = {"type": "response.function_call_arguments.delta", "delta": rest}
            return [first, delta]
        delta = {"type": "input_json_delta", "partial_json": "{}"}
        start = {"type": "content_block_delta", "index": 0, "delta": delta}
        later = {**start, "delta": {**delta, "partial_json": rest}}
        return [first, start, later, others[-1]]

    for wire in ("responses", "anthropic"):
        response, error, sealed = parse(wire, *pieces(wire), finish_event(wire, WHOLE[wire]))
        assert (error, sealed) == (None, 1)
        assert response.tool_calls[0].parse() == ({"a": 1} if rest else {})


@pytest.mark.parametrize("body", [b"", b'data: {"choices": []}\n\n', b": ping\n\n"])
def test_done_without_any_choice_is_incomplete(body: bytes) -> None:
    parser = ChatCompletionsParser(StreamInfo("acme"))
    parser.feed(body + b"data: [DONE]\n\n", 1.0)
    assert parser.done
    assert not parser.complete
