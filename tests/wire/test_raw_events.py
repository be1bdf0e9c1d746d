"""With `raw=True`, each chunk has the bytes of its event, on every wire."""

from __future__ import annotations

import json
import re
import tracemalloc
from itertools import groupby

import pytest
from folding import fold

from rxagents import ServerError, StreamChunk, ToolCall, Usage
from rxagents.testing import Reply
from rxagents.testing.wires import WIRES, ServedWire
from rxagents.wire.parser import StreamInfo
from rxagents.wire.think_tags import DEFAULT_TAGS

RAW = StreamInfo("acme", raw=True)
PLAIN = StreamInfo("acme")
REPLY = Reply(
    ["Hé", "llo", "!"],
    reasoning="hm",
    tool_calls=[ToolCall("c1", "add", '{"a":1}')],
    usage=Usage(3, 4, 7),
)

CHATS = [wire for wire in WIRES if wire.path != "/api/generate"]
each_wire = pytest.mark.parametrize("wire", CHATS, ids=lambda wire: wire.path)

UNKNOWN = {
    "/chat/completions": b'data: {"object":"new.kind","found":1}\n\n',
    "/messages": b'event: new_kind\ndata: {"type":"new_kind","found":1}\n\n',
    ":streamGenerateContent": b'data: {"newKind":{"found":1}}\n\n',
    "/responses": b'event: response.new\ndata: {"type":"response.new","found":1}\n\n',
    "/api/chat": b'{"message":{"role":"assistant","new_kind":1},"done":false}\n',
}
"""An event that has nothing for the user, by the path of its wire."""


def body_of(wire: ServedWire, reply: Reply = REPLY) -> bytes:
    return b"".join([*wire.events(reply, "m", "id-1"), wire.end])


def data_of(body: bytes) -> list[bytes]:
    """Return the data of each event of a body, without the end marker."""
    lines = re.findall(rb"^data: (.*?)\r?$", body, re.MULTILINE) or body.splitlines()
    return [line for line in lines if line != b"[DONE]"]


def parse(wire: ServedWire, info: StreamInfo, *pieces: bytes) -> list[StreamChunk]:
    parser = wire.parser(info)
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece, 1.0)]
    chunks += parser.flush(1.0)
    assert parser.error is None
    return chunks


def raws(chunks: list[StreamChunk]) -> list[bytes | None]:
    """Return the `raw` of the chunks; that of several chunks of one event once."""
    return [raw for raw, _ in groupby(chunk.raw for chunk in chunks)]


@each_wire
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_split_gives_every_event(wire: ServedWire, line_end: bytes) -> None:
    body = body_of(wire)
    expected = data_of(body)
    if wire.path != "/api/chat":
        body = body.replace(b"\r\n", b"\n").replace(b"\n", line_end)
    splits = [[body], [body[n : n + 1] for n in range(len(body))]]
    splits += [[body[:cut], body[cut:]] for cut in range(1, len(body))]
    for pieces in splits:
        chunks = parse(wire, RAW, *pieces)
        assert raws(chunks) == expected
        assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


@each_wire
def test_raw_changes_no_other_field(wire: ServedWire) -> None:
    plain, raw = (parse(wire, info, body_of(wire)) for info in (PLAIN, RAW))
    assert all(chunk.raw is None for chunk in plain)
    seen = [
        [
            (chunk.delta, chunk.content, chunk.reasoning, chunk.finish_reason, chunk.usage)
            for chunk in chunks
            if chunk.has_content
        ]
        for chunks in (plain, raw)
    ]
    assert seen[0] == seen[1]
    responses = [fold(chunks) for chunks in (plain, raw)]
    assert responses[0].metadata == responses[1].metadata
    assert [call.parse() for call in responses[1].tool_calls] == [{"a": 1}]


@each_wire
def test_raw_has_the_event_of_its_text(wire: ServedWire) -> None:
    chunks = [chunk for chunk in parse(wire, RAW, body_of(wire)) if chunk.delta]
    assert [chunk.delta for chunk in chunks] == ["Hé", "llo", "!"]
    for chunk in chunks:
        assert chunk.raw is not None
        assert chunk.delta in json.dumps(json.loads(chunk.raw), ensure_ascii=False)


@each_wire
def test_unknown_event_is_an_empty_chunk(wire: ServedWire) -> None:
    unknown = UNKNOWN[wire.path]
    body = unknown + body_of(wire)
    first, *rest = parse(wire, RAW, body)
    assert first.raw == data_of(unknown)[0]
    assert not first.has_content
    assert raws(rest) == data_of(body_of(wire))
    assert len(parse(wire, PLAIN, body)) == len(parse(wire, PLAIN, body_of(wire)))


@each_wire
def test_nothing_is_kept_without_raw(wire: ServedWire) -> None:
    padding = b'{"padding":"' + b"x" * 20_000 + b'",'
    events = wire.events(Reply(["word "] * 50), "m", "id-1")
    sizes = []
    for info in (PLAIN, RAW):
        tracemalloc.start()
        try:
            parser = wire.parser(info)
            chunks = []
            for event in events:
                chunks += parser.feed(event.replace(b"{", padding, 1), 1.0)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(chunks) >= 50
        sizes.append(held)
    plain, raw = sizes
    assert plain < 100_000
    assert raw > 1_000_000


@each_wire
def test_text_held_back_loses_no_event(wire: ServedWire) -> None:
    reply = Reply(["<thi", "nk>hm</think>Y", "es"])
    body = body_of(wire, reply)
    chunks = parse(wire, StreamInfo(think_tags=DEFAULT_TAGS, raw=True), body)
    assert raws(chunks) == data_of(body)
    [thought] = [chunk for chunk in chunks if chunk.reasoning]
    assert (thought.reasoning, thought.delta) == ("hm", "Y")
    assert b"nk>" in (thought.raw or b"")


def test_chunks_of_one_event_share_its_bytes() -> None:
    data = b'{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}'
    chunks = parse(WIRES[0], RAW, b"data: " + data + b"\n\n")
    assert [(chunk.choice, chunk.raw) for chunk in chunks] == [(0, data), (1, data)]


def test_data_lines_are_joined() -> None:
    event = b': comment\ndata: {"choices":[{"delta":\ndata: {"content":"a"}}]}\nid: 5\n\n'
    [chunk] = parse(WIRES[0], RAW, event)
    assert (chunk.delta, chunk.raw) == ("a", b'{"choices":[{"delta":\n{"content":"a"}}]}')


def test_text_released_at_end_has_no_event() -> None:
    events = WIRES[0].events(Reply(["<thi"]), "m", "id-1")[:-1]
    chunks = parse(WIRES[0], StreamInfo(think_tags=DEFAULT_TAGS, raw=True), *events)
    assert [(chunk.delta, chunk.raw) for chunk in chunks[-1:]] == [("<thi", None)]


def test_error_in_stream_makes_no_chunk() -> None:
    text = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    error = b'data: {"error":{"message":"It broke.","type":"server_error"}}\n\n'
    parser = WIRES[0].parser(RAW)
    [chunk] = parser.feed(text + error + text, 1.0)
    assert chunk.raw == text[6:-2]
    assert isinstance(parser.error, ServerError)
    assert parser.flush(1.0) == []


def test_event_after_done_makes_no_chunk() -> None:
    body = body_of(WIRES[0])
    assert parse(WIRES[0], RAW, body + b'data: {"late":1}\n\n') == parse(WIRES[0], RAW, body)
