"""Rules of every wire's parser, for any reply and any split of its bytes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from folding import fold
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import size
from parsers import CHATS, PARSERS
from wires import WIRES as SPOKEN
from wires import SpokenWire

from rxagents import (
    OverloadedError,
    ProviderError,
    ServerError,
    StreamChunk,
    StreamDecodeError,
    ToolCall,
    Usage,
)
from rxagents.testing import Reply
from rxagents.testing.wires import ServedWire
from rxagents.wire.parser import StreamInfo, WireParser

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
    parser: WireParser = PARSERS[wire.path](StreamInfo("acme", "req-1"))
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece, 1.0)]
    return chunks + parser.flush(2.0), parser


def seen(chunks: list[StreamChunk]) -> Any:
    """Return a chunk without the ids made up for calls."""
    response = fold(chunks)
    calls = [(call.name, call.parse()) for call in response.tool_calls]
    texts = [(chunk.index, chunk.delta, chunk.reasoning, chunk.content) for chunk in chunks]
    return texts, calls, response.finish_reason, response.usage


@each_wire
@settings(deadline=None, max_examples=size(60, quick=15))
@given(reply=REPLIES, cuts=st.lists(st.floats(0, 1), max_size=6))
def test_every_split_gives_the_same_reply(
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
def test_every_call_starts_and_seals_once(wire: ServedWire) -> None:
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
def test_stream_without_finish_is_incomplete(wire: ServedWire) -> None:
    events = wire.events(Reply("one two", tool_calls=[ToolCall("c", "f", "{}")]), "m", "id")
    for count in range(len(events)):
        chunks, parser = parse(wire, *events[:count])
        assert parser.error is None
        assert parser.complete == any(chunk.finish_reason for chunk in chunks)
    assert parse(wire, *events)[1].complete


@each_wire
def test_cut_last_event_is_ignored(wire: ServedWire) -> None:
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
def test_finish_reasons_are_unified(wire: ServedWire, finish: str, unified: str) -> None:
    if wire.path == "/responses" and finish == "odd_word":
        return  # it has no finish reasons of its own
    chunks, _ = parse(wire, body_of(wire, Reply("x", finish_reason=finish)))
    assert chunks[-1].finish_reason == unified
    assert chunks[-1].metadata["finish_reason"]


JUNK = st.sampled_from(
    [
        *[None, True, 5, 1.5, 10**400, "", "\ud83d", "9" * 5000, [], [None], [5], {}],
        *[{"type": None}, {"type": "text", "text": {}}, {"error": [{}]}, [{"name": 5, "args": 5}]],
    ]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container of each part of decoded JSON, and its key or index there."""
    keys: Any = range(len(value)) if isinstance(value, list) else value
    for key in keys if isinstance(value, list | dict) else ():
        yield value, key
        yield from places(value[key])


@each_wire
@settings(deadline=None, max_examples=size(200, quick=40))
@given(number=st.integers(0), place=st.integers(0), junk=JUNK)
def test_odd_event_values_never_raise(wire: ServedWire, number: int, place: int, junk: Any) -> None:
    reply = Reply("a", reasoning="b", tool_calls=[ToolCall("c", "f", "{}")], usage=Usage(1, 2))
    sent = [event for event in wire.events(reply, "m", "id") if b"{" in event]
    number %= len(sent)
    opening, brace, rest = sent[number].partition(b"{")
    body = json.loads(brace + rest)
    holders = list(places(body))
    holder, key = holders[place % len(holders)]
    holder[key] = junk
    sent[number] = opening + json.dumps(body).encode() + rest[len(rest.rstrip()) :]
    chunks, parser = parse(wire, b"".join(sent))
    for chunk in chunks:
        (chunk.content + chunk.reasoning + chunk.refusal).encode()
    assert parser.error is None or isinstance(parser.error, ProviderError)
    str(parser.error).encode()


SSE = [wire for wire in SPOKEN if wire.is_sse]
each_sse_wire = pytest.mark.parametrize("wire", SSE, ids=lambda wire: wire.name)


def read(wire: SpokenWire, *events: bytes) -> tuple[str, WireParser]:
    """Return the text of a stream, and its parser; however its bytes are cut."""
    body, seen = b"".join(events), []
    for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
        parser: WireParser = wire.model("http://localhost")._parser(StreamInfo("acme"))
        chunks = [chunk for piece in pieces for chunk in parser.feed(piece, 1.0)]
        chunks += parser.flush(1.0)
        seen.append(("".join(chunk.delta for chunk in chunks), parser))
    (text, _), (same, _) = seen
    assert text == same
    return seen[0]


@each_sse_wire
@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"The engine is gone.", ServerError),
        (b'{"error":{"type":"overloaded_error","message":"The engine is gone."}}', OverloadedError),
        (b'{"code":503,"message":"The engine is gone."}', OverloadedError),
    ],
    ids=["words", "JSON", "flat JSON"],
)
def test_error_event_is_typed_error(
    wire: SpokenWire, payload: bytes, kind: type[ProviderError]
) -> None:
    text, parser = read(wire, wire.text("a"), b"event: error\n", wire.raw(payload), wire.text("b"))
    assert text == "a"
    assert type(parser.error) is kind
    assert "The engine is gone." in str(parser.error)


BARE = {"error": {"code": 503, "message": "The engine is gone.", "status": "UNAVAILABLE"}}


@each_sse_wire
@pytest.mark.parametrize("end", [b"", b"\n\n"], ids=["at the end", "closed"])
@pytest.mark.parametrize(
    "written",
    [json.dumps(BARE), json.dumps(BARE, indent=2), json.dumps([BARE], indent=2)],
    ids=["in one line", "in many lines", "in a list"],
)
def test_bare_json_error_is_typed_error(wire: SpokenWire, written: str, end: bytes) -> None:
    text, parser = read(wire, wire.text("a"), written.encode() + end)
    assert text == "a"
    assert type(parser.error) is OverloadedError
    assert "The engine is gone." in str(parser.error)


@each_sse_wire
@pytest.mark.parametrize(
    "bare", [b"{}\n\n", b'{"error":null}\n\n', b"[]\n\n", b"[5]\n\n", b"{\n\n"]
)
def test_other_bare_lines_are_ignored(wire: SpokenWire, bare: bytes) -> None:
    text, parser = read(wire, wire.text("a"), bare, wire.text("b"), wire.finish(), wire.done())
    assert (text, parser.error, parser.complete) == ("ab", None, True)


@each_sse_wire
def test_done_ends_every_event_stream(wire: SpokenWire) -> None:
    text, parser = read(wire, wire.text("a"), b"data: [DONE] \n\n", wire.text("b"))
    assert (text, parser.error, parser.done, parser.complete) == ("a", None, True, True)


@each_sse_wire
@pytest.mark.parametrize("payload", [b'{"type":"novel","x":[1]}', b'{"a":{"b":null}}'])
def test_unknown_events_are_ignored(wire: SpokenWire, payload: bytes) -> None:
    text, parser = read(wire, wire.text("a"), wire.raw(payload), wire.text("b"))
    assert (text, parser.error) == ("ab", None)


TYPED = [wire for wire in SSE if wire.name in {"anthropic", "openai responses"}]


@pytest.mark.parametrize("wire", TYPED, ids=lambda wire: wire.name)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("delta", 5),
        ("index", "x"),
        ("output_index", "x"),
        ("message", 5),
        ("response", "x"),
        ("text", {}),
        ("usage", []),
        ("item", "x"),
    ],
)
def test_unknown_event_types_may_have_any_fields(
    wire: SpokenWire, field: str, value: object
) -> None:
    novel = json.dumps({"type": "response.novel.delta", field: value}).encode()
    text, parser = read(wire, wire.text("a"), wire.raw(novel), wire.text("b"))
    assert (text, parser.error) == ("ab", None)
    _, parser = read(wire, wire.text("a"), wire.raw(novel[:-1]))
    assert type(parser.error) is StreamDecodeError


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
@pytest.mark.parametrize("burst", [1, 16])
def test_text_takes_little_extra_memory(wire: SpokenWire, burst: int) -> None:
    def parse() -> tuple[int, str]:
        """Return the memory that a stream takes, and its text."""
        parser: WireParser = wire.model("http://localhost")._parser(StreamInfo("acme"))
        parser.feed(wire.start(), 1.0)
        tracemalloc.start()
        try:
            for number in range(0, 4096, burst):
                texts = (f"{number + n:04}" for n in range(burst))
                *_, last = parser.feed(b"".join(map(wire.text, texts)), 1.0)
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return grown, last.content

    parse()  # the first stream fills the caches of the interpreter
    grown, text = parse()
    assert grown < 12 * 4096
    assert text == "".join(f"{number:04}" for number in range(4096))
