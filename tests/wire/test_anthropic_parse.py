"""Anthropic's wire: blocks, signatures, citations, cumulative usage."""

from __future__ import annotations

import json
from typing import Any

from folding import fold

import rxagents
from rxagents import Message, Response, StreamChunk, Tool
from rxagents.wire.anthropic import AnthropicParser, render_messages
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def start(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def finish(reason: str, **usage: int) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage)


END = event("message_stop")


def parse(*events: bytes) -> tuple[list[StreamChunk], AnthropicParser]:
    parser = AnthropicParser(StreamInfo("anthropic"))
    return parser.feed(b"".join(events), 1.0), parser


def sent_back(response: Response) -> list[dict[str, Any]]:
    results = [Message.tool(call.id, "ok") for call in response.tool_calls]
    conversation = (Message.user("hi"), response.message, *results)
    body = render_messages(ChatRequest("m", conversation, (Tool(name="f"),)))
    content: list[dict[str, Any]] = body["messages"][1]["content"]
    return content


def test_original_blocks_are_sent_back() -> None:
    searched = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]}
    chunks, _ = parse(
        start(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Hm."),
        delta(0, "signature_delta", signature="sig"),
        stop(0),
        start(1, type="redacted_thinking", data="xyz"),
        stop(1),
        start(2, type="server_tool_use", id="s", name="web_search", input={}),
        delta(2, "input_json_delta", partial_json='{"q":"a"}'),
        stop(2),
        start(3, **searched),
        stop(3),
        start(4, type="text", text=""),
        delta(4, "text_delta", text="So."),
        delta(4, "citations_delta", citation={"url": "u"}),
        stop(4),
        start(5, type="tool_use", id="t", name="f", input={}),
        delta(5, "input_json_delta", partial_json='{"a":1}'),
        stop(5),
        finish("tool_use"),
        END,
    )
    response = fold(chunks)
    assert (response.content, response.reasoning) == ("So.", "Hm.")
    assert [call.arguments for call in response.tool_calls] == ['{"a":1}']
    assert sent_back(response) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "a"}},
        searched,
        {"type": "text", "text": "So.", "citations": [{"url": "u"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ]


def test_unsigned_thinking_is_left_out() -> None:
    foreign = Message("assistant", (rxagents.ReasoningPart("Hm."), rxagents.TextPart("So.")))
    body = render_messages(ChatRequest("m", (Message.user("hi"), foreign, Message.user("go"))))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "So."}]


def test_cumulative_usage_is_merged() -> None:
    usage = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}
    chunks, _ = parse(
        event("message_start", message={"id": "msg", "model": "m", "usage": usage}),
        delta(0, "text_delta", text="x"),
        finish("end_turn", output_tokens=7),
        END,
    )
    last = chunks[-1].usage
    assert last is not None
    assert (last.input_tokens, last.output_tokens, last.cached_tokens) == (9, 7, 4)
    assert last.total_tokens is None
    assert chunks[-1].metadata["id"] == "msg"


def test_call_cut_by_token_limit_stays_unsealed() -> None:
    chunks, parser = parse(
        start(0, type="tool_use", id="t", name="f", input={}),
        delta(0, "input_json_delta", partial_json='{"a":'),
        stop(0),
        finish("max_tokens"),
        END,
    )
    assert parser.complete
    assert not any(delta.sealed for chunk in chunks for delta in chunk.tool_calls)
    assert chunks[-1].finish_reason == "length"


def test_finish_seals_call_with_invalid_json() -> None:
    chunks, _ = parse(
        start(0, type="tool_use", id="t", name="f", input={}),
        delta(0, "input_json_delta", partial_json='{"a":'),
        stop(0),
        start(1, type="tool_use", id="u", name="f", input={"b": 1}),
        stop(1),
        stop(1),
        finish("tool_use"),
        END,
    )
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert [delta.index for delta in deltas if delta.sealed] == [1, 0]
    assert [call.arguments for call in fold(chunks).tool_calls] == ['{"a":', '{"b":1}']


def test_arguments_in_block_start_are_emitted() -> None:
    chunks, _ = parse(start(0, type="tool_use", id="t", name="f", input={"a": 1}), stop(0))
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert "".join(delta.arguments for delta in deltas) == '{"a":1}'


def test_error_event_has_request_id() -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    _, parser = parse(
        event("message_start", message={"id": "msg"}),
        event("ping"),
        event("error", error=error, request_id="req_1"),
    )
    assert isinstance(parser.error, rxagents.OverloadedError)
    assert (parser.error.status, parser.error.request_id) == (529, "req_1")


def test_blocks_may_interleave() -> None:
    chunks, _ = parse(
        start(0, type="tool_use", id="a", name="f", input={}),
        start(1, type="tool_use", id="b", name="g", input={}),
        delta(1, "input_json_delta", partial_json='{"b":'),
        delta(0, "input_json_delta", partial_json='{"a":'),
        delta(1, "input_json_delta", partial_json="2}"),
        delta(0, "input_json_delta", partial_json="1}"),
        stop(1),
        stop(0),
        finish("tool_use"),
    )
    calls = fold(chunks).tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("f", '{"a":1}'), ("g", '{"b":2}')]


def test_unknown_deltas_are_ignored() -> None:
    chunks, parser = parse(
        delta(0, "text_delta", text="a"),
        delta(0, "novel_delta", text="b"),
        delta(0, "novel_delta", text=["c"]),
        delta(0, "text_delta", text="d"),
    )
    assert parser.error is None
    assert fold(chunks).content == "ad"


def test_invalid_text_is_typed_error() -> None:
    _, parser = parse(delta(0, "text_delta", text="c").replace(b'"c"', b'"\xff"'))
    assert isinstance(parser.error, rxagents.StreamDecodeError)


def test_finish_seals_calls_without_stop() -> None:
    chunks, _ = parse(
        start(0, type="tool_use", id="a", name="f", input={"x": 1}),
        start(1, type="tool_use", id="b", name="g", input={}),
        delta(1, "input_json_delta", partial_json='{"y":2}'),
        start(2, type="tool_use", id="c", name="h", input={}),
        delta(2, "input_json_delta", partial_json='{"z":'),
        finish("tool_use"),
    )
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert [delta.index for delta in deltas if delta.sealed] == [0, 1, 2]
    assert [call.arguments for call in fold(chunks).tool_calls] == ['{"x":1}', '{"y":2}', '{"z":']


def test_second_finish_only_adds_usage() -> None:
    chunks, _ = parse(
        start(0, type="thinking", thinking="Hm.", signature="sig"),
        delta(1, "text_delta", text="So."),
        finish("end_turn", output_tokens=1),
        finish("end_turn", output_tokens=5),
        END,
    )
    response = fold(chunks)
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert response.usage is not None
    assert response.usage.output_tokens == 5
    assert sent_back(response)[0] == {"type": "thinking", "thinking": "Hm.", "signature": "sig"}


def test_block_without_type_is_stored_harmlessly() -> None:
    chunks, _ = parse(start(0), delta(1, "text_delta", text="So."), finish("end_turn"), END)
    assert {"type": "text", "text": "So."} in sent_back(fold(chunks))


def test_empty_object_before_input_is_replaced() -> None:
    pieces = ["{}", " ", '{"a": 1}']
    call = start(0, type="tool_use", id="t", name="f", input={})
    deltas = [delta(0, "input_json_delta", partial_json=piece) for piece in pieces]
    chunks, _ = parse(call, *deltas, stop(0), finish("tool_use"), END)
    assert [call.arguments for call in fold(chunks).tool_calls] == ['{"a": 1}']


def test_empty_object_alone_is_the_input() -> None:
    call = start(0, type="tool_use", id="t", name="f", input={})
    piece = delta(0, "input_json_delta", partial_json="{}")
    chunks, _ = parse(call, piece, stop(0), finish("tool_use"), END)
    assert "".join(d.arguments for chunk in chunks for d in chunk.tool_calls) == "{}"


def test_blank_id_of_call_is_replaced() -> None:
    chunks, _ = parse(start(0, type="tool_use", id=" ", name="f", input={}))
    assert chunks[0].tool_calls[0].id.strip()
