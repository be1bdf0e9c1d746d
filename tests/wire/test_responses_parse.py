"""The Responses API: items, repeated texts, incomplete calls, hosted tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folding import fold

import rxagents
from rxagents import Message, StreamChunk
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import ResponsesParser, render_response


def event(kind: str, **fields: Any) -> bytes:
    return f"data: {json.dumps({'type': f'response.{kind}', **fields})}\n\n".encode()


def text_delta(text: str, index: int = 0) -> bytes:
    return event("output_text.delta", delta=text, output_index=index, content_index=0)


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": text}]}


def completed(*output: dict[str, Any], **more: Any) -> bytes:
    return event("completed", response={"status": "completed", "output": list(output), **more})


CALL = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": ""}
WHOLE_CALL = {**CALL, "arguments": '{"a":1}', "status": "completed"}


def parse(*events: bytes) -> tuple[list[StreamChunk], ResponsesParser]:
    parser = ResponsesParser(StreamInfo("openai-responses"))
    chunks = parser.feed(b"".join(events), 1.0)
    return chunks + parser.flush(1.0), parser


@pytest.mark.parametrize(
    "events",
    [
        [text_delta("one "), text_delta("two"), completed(message("one two"))],
        [text_delta("one "), event("output_text.done", text="one two", output_index=0)],
        [event("output_item.done", item=message("one two"), output_index=0)],
        [completed(message("one two"))],
        [
            text_delta("one two"),
            event("output_text.done", text="one two", output_index=0),
            event("output_item.done", item=message("one two"), output_index=0),
            completed(message("one two")),
        ],
    ],
    ids=["deltas", "rest in done", "item only", "response only", "all"],
)
def test_repeated_text_is_emitted_once(events: list[bytes]) -> None:
    chunks, parser = parse(*events)
    assert parser.error is None
    assert fold(chunks).content == "one two"


@pytest.mark.parametrize(
    "events",
    [
        [
            event("output_item.added", item=CALL, output_index=0),
            event("function_call_arguments.delta", delta='{"a":', output_index=0),
            event("function_call_arguments.delta", delta="1}", output_index=0),
            event("function_call_arguments.done", arguments='{"a":1}', output_index=0),
            event("output_item.done", item=WHOLE_CALL, output_index=0),
        ],
        [
            event("output_item.added", item=CALL, output_index=0),
            event("output_item.done", item=WHOLE_CALL, output_index=0),
        ],
        [event("output_item.done", item=WHOLE_CALL, output_index=0)],
        [completed(WHOLE_CALL)],
    ],
    ids=["deltas", "no deltas", "item only", "response only"],
)
def test_repeated_call_starts_and_seals_once(events: list[bytes]) -> None:
    chunks, parser = parse(*events, completed(WHOLE_CALL))
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert sum(delta.sealed for delta in deltas) == 1
    assert [delta.id for delta in deltas if delta.id] == ["c1"]
    (call,) = fold(chunks).tool_calls
    assert (call.name, call.arguments) == ("f", '{"a":1}')
    assert parser.complete
    assert chunks[-1].finish_reason == "tool_calls"


def test_incomplete_call_is_not_sealed() -> None:
    cut = {**CALL, "arguments": '{"a":', "status": "incomplete"}
    details = {"reason": "max_output_tokens"}
    response = {"status": "incomplete", "incomplete_details": details, "output": [cut]}
    chunks, parser = parse(
        event("output_item.added", item=CALL, output_index=0),
        event("incomplete", response=response),
    )
    assert parser.complete
    assert not any(delta.sealed for chunk in chunks for delta in chunk.tool_calls)
    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].metadata["finish_reason"] == "max_output_tokens"


@pytest.mark.parametrize(
    "failure",
    [
        event("failed", response={"error": {"code": "rate_limit_exceeded", "message": "Slow."}}),
        b'data: {"type":"error","code":"rate_limit_exceeded","message":"Slow."}\n\n',
        b'data: {"type":"error","error":{"code":"rate_limit_exceeded","message":"Slow."}}\n\n',
    ],
    ids=["failed", "flat", "nested"],
)
def test_error_code_selects_error_class(failure: bytes) -> None:
    chunks, parser = parse(text_delta("a"), failure)
    assert fold(chunks).content == "a"
    assert isinstance(parser.error, rxagents.RateLimitError)
    assert "Slow." in str(parser.error)


SO = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "So."}],
}


def test_hosted_tool_items_are_sent_back() -> None:
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"q": 1}}
    thought = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "xyz"}
    unreadable = {"type": "reasoning", "id": "rs2", "summary": []}
    chunks, _ = parse(completed(thought, search, unreadable, message("So."), WHOLE_CALL))
    assert any(chunk.metadata.get("items") == [search] for chunk in chunks)
    request = ChatRequest("m", (Message.user("hi"), fold(chunks).message))
    assert render_response(request)["input"][1:] == [
        thought,
        {"type": "web_search_call", "id": "ws", "action": {"q": 1}},
        SO,
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
    ]


def test_thinking_refusals_and_annotations() -> None:
    chunks, _ = parse(
        event("reasoning_summary_text.delta", delta="Hm.", output_index=0, summary_index=0),
        event("reasoning_text.delta", delta="Raw.", output_index=0, content_index=0),
        event("refusal.delta", delta="No.", output_index=1, content_index=0),
        event("output_text.annotation.added", annotation={"url": "u"}, output_index=1),
        completed(),
    )
    response = fold(chunks)
    assert (response.reasoning, response.refusal) == ("Hm.Raw.", "No.")
    assert any(chunk.metadata.get("annotations") == [{"url": "u"}] for chunk in chunks)


def arguments_done(arguments: str) -> bytes:
    return event("function_call_arguments.done", arguments=arguments, output_index=0)


def test_done_arguments_seal_call() -> None:
    added = event("output_item.added", item=CALL, output_index=0)
    chunks, _ = parse(added, arguments_done('{"a":1}'))
    assert [(d.arguments, d.sealed) for d in chunks[-1].tool_calls] == [('{"a":1}', True)]
    cut, _ = parse(added, arguments_done('{"a":'))
    empty, _ = parse(added, arguments_done(""))
    assert not any(d.sealed for chunk in cut + empty for d in chunk.tool_calls)


@pytest.mark.parametrize("arguments", ['{"a":', "", '{"a":1}'])
@pytest.mark.parametrize("item_done", [True, False])
def test_completed_response_seals_all_calls(arguments: str, item_done: bool) -> None:
    item = {**CALL, "arguments": arguments, "status": "completed"}
    chunks, _ = parse(
        event("output_item.added", item=CALL, output_index=0),
        event("function_call_arguments.delta", delta=arguments, output_index=0),
        *([event("output_item.done", item=item, output_index=0)] if item_done else []),
        completed(),
    )
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert [delta.sealed for delta in deltas].count(True) == 1
    assert deltas[-1].sealed
    assert "".join(delta.arguments for delta in deltas) == arguments
    assert chunks[-1].finish_reason == "tool_calls"


def test_call_without_name_is_not_sealed() -> None:
    chunks, _ = parse(
        event("function_call_arguments.delta", delta='{"a":1}', output_index=0),
        arguments_done('{"a":1}'),
        event("output_item.done", item={**WHOLE_CALL, "call_id": None}, output_index=0),
    )
    (call,) = fold(chunks).tool_calls
    assert (call.name, call.arguments) == ("f", '{"a":1}')
    (seal,) = [d for chunk in chunks for d in chunk.tool_calls if d.sealed]
    assert (seal.name, seal.id) == ("f", call.id)
    assert seal.id.startswith("call_")


def test_repeated_thinking_is_emitted_once() -> None:
    chunks, _ = parse(
        event("reasoning_summary_text.delta", delta="H", output_index=0, summary_index=1),
        event("reasoning_summary_text.done", text="Hm.", output_index=0, summary_index=1),
        event("reasoning_text.done", text="Raw.", output_index=0, content_index=0),
    )
    assert fold(chunks).reasoning == "Hm.Raw."


@pytest.mark.parametrize("index", [1, None], ids=["shifted", "null"])
def test_known_item_ids_are_not_repeated(index: int | None) -> None:
    part = None if index is None else 0
    chunks, parser = parse(
        event("output_text.delta", delta="a", output_index=index, content_index=part),
        event("output_text.done", text="a", output_index=index, content_index=part),
        event("output_item.done", item=message("a"), output_index=index),
        completed(message("a")),
    )
    assert parser.error is None
    assert fold(chunks).content == "a"


def test_failure_without_reason_hides_response() -> None:
    _, parser = parse(event("failed", response={"error": None, "instructions": "secret"}))
    assert isinstance(parser.error, rxagents.ServerError)
    assert "secret" not in str(parser.error)


def test_odd_item_is_sent_back() -> None:
    chunks, parser = parse(completed({"type": []}, {}, message("So.")))
    assert parser.complete
    request = ChatRequest("m", (Message.user("hi"), fold(chunks).message))
    assert SO in render_response(request)["input"]
