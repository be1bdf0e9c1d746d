"""What every wire's parser keeps, whatever the reply and however its bytes are cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wires import WIRES as SPOKEN
from wires import SpokenWire

from rxagents import StreamChunk, ToolCall, Usage
from rxagents.core.response import ResponseBuilder
from rxagents.testing import Reply
from rxagents.testing.wires import WIRES, ServedWire
from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.gemini import GeminiParser
from rxagents.wire.ollama import OllamaParser
from rxagents.wire.parser import AnswerInfo, WireParser
from rxagents.wire.responses import ResponsesParser

PARSERS: dict[str, Any] = {
    "/chat/completions": ChatCompletionsParser,
    "/messages": AnthropicParser,
    ":streamGenerateContent": GeminiParser,
    "/responses": ResponsesParser,
    "/api/chat": OllamaParser,
    "/api/generate": OllamaParser,
}
CHATS = [wire for wire in WIRES if wire.path != "/api/generate"]
each_wire = pytest.mark.parametrize("wire", CHATS, ids=lambda wire: wire.path)

TEXT = st.text(st.sampled_from('ab é😀\n"\\{}'), max_size=12)
CALLS = st.lists(
    st.builds(
        ToolCall,
        st.uuids().map(str),
        st.sampled_from(["add", "look_up"]),
        st.sampled_from(["{}", '{"a":1}', '{"b":{"c":[1,2,"é"]}}']),
    ),
    max_size=3,
    unique_by=lambda call: call.id,
)
REPLIES = st.builds(
    Reply,
    st.lists(TEXT.filter(bool), max_size=4),
    reasoning=TEXT,
    tool_calls=CALLS,
    usage=st.none() | st.just(Usage(3, 4, 7)),
)


def body_of(wire: ServedWire, reply: Reply) -> bytes:
    return b"".join([*wire.events(reply, "m", "id-1"), wire.end])


def parse(wire: ServedWire, *pieces: bytes) -> tuple[list[StreamChunk], WireParser]:
    parser: WireParser = PARSERS[wire.path](AnswerInfo("acme", "req-1"))
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece, 1.0)]
    return chunks + parser.flush(2.0), parser


def fold(chunks: list[StreamChunk]) -> Any:
    builder = ResponseBuilder()
    for chunk in chunks:
        builder.add(chunk)
    return builder.response()


def seen(chunks: list[StreamChunk]) -> Any:
    """Everything but the ids that are made for calls without one."""
    response = fold(chunks)
    calls = [(call.name, call.parse()) for call in response.tool_calls]
    texts = [(chunk.index, chunk.delta, chunk.reasoning, chunk.content) for chunk in chunks]
    return texts, calls, response.finish_reason, response.usage


@each_wire
@settings(deadline=None, max_examples=60)
@given(reply=REPLIES, cuts=st.lists(st.floats(0, 1), max_size=6))
def test_a_reply_is_read_whole_however_it_is_cut(
    wire: ServedWire, reply: Reply, cuts: list[float]
) -> None:
    body = body_of(wire, reply)
    edges = sorted({0, len(body), *(int(cut * len(body)) for cut in cuts)})
    pieces = [body[start:end] for start, end in pairwise(edges)]
    whole, parser = parse(wire, body)
    assert parser.error is None
    assert parser.complete
    response = fold(whole)
    assert response.content == "".join(reply.text)
    assert "".join(response.reasoning.split()) == "".join(reply.reasoning.split())
    assert [(call.name, call.parse()) for call in response.tool_calls] == [
        (call.name, call.parse()) for call in reply.tool_calls
    ]
    assert response.finish_reason == ("tool_calls" if reply.tool_calls else "stop")
    assert (response.usage is None) == (reply.usage is None)
    in_pieces, _ = parse(wire, *pieces)
    assert seen(in_pieces) == seen(whole)


@each_wire
def test_every_call_is_started_and_sealed_once(wire: ServedWire) -> None:
    calls = [ToolCall("c1", "add", '{"a":1}'), ToolCall("c2", "add", "{}")]
    chunks, _ = parse(wire, body_of(wire, Reply("x", tool_calls=calls)))
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    for index in (0, 1):
        mine = [delta for delta in deltas if delta.index == index]
        assert mine[0].name == "add"
        assert mine[0].id
        assert [delta.sealed for delta in mine] == [False] * (len(mine) - 1) + [True]
    ids = {delta.id for delta in deltas if delta.id}
    assert len(ids) == 2


@each_wire
def test_a_stream_that_stops_before_its_finish_is_not_complete(wire: ServedWire) -> None:
    events = wire.events(Reply("one two", tool_calls=[ToolCall("c", "f", "{}")]), "m", "id")
    for count in range(len(events)):
        chunks, parser = parse(wire, *events[:count])
        assert parser.error is None
        assert parser.complete == any(chunk.finish_reason for chunk in chunks)
    assert parse(wire, *events)[1].complete


@each_wire
def test_an_event_cut_in_two_is_left_out(wire: ServedWire) -> None:
    *before, last = wire.events(Reply("one two"), "m", "id")[:3]
    for position in range(1, len(last) - 4):
        chunks, parser = parse(wire, *before, last[:position])
        assert parser.error is None
        assert not parser.complete
        assert "one two".startswith(fold(chunks).content)


@each_wire
@pytest.mark.parametrize(
    ("finish", "unified"),
    [("length", "length"), ("content_filter", "content_filter"), ("odd_word", "odd_word")],
)
def test_finish_reasons_are_unified_and_their_own_word_is_kept(
    wire: ServedWire, finish: str, unified: str
) -> None:
    if wire.path == "/responses" and finish == "odd_word":
        return  # it has no words of its own for answers that end as they should
    chunks, _ = parse(wire, body_of(wire, Reply("x", finish_reason=finish)))
    assert chunks[-1].finish_reason == unified
    assert chunks[-1].metadata["finish_reason"]


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
@pytest.mark.parametrize("payload", [b'{"type":"novel","x":[1]}', b'{"a":{"b":null}}'])
def test_an_event_of_an_unknown_kind_is_passed_over(wire: SpokenWire, payload: bytes) -> None:
    parser: WireParser = wire.model("http://localhost")._parser(AnswerInfo("acme"))
    if not wire.is_sse:
        return  # a line that is no part of an answer is no line of this wire
    chunks = parser.feed(wire.text("a") + wire.raw(payload) + wire.text("b"), 1.0)
    assert parser.error is None
    assert [chunk.content for chunk in chunks] == ["a", "ab"]
