"""`TextBurst`: a parser that may make them loses nothing, for any reply and any split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import msgspec
import pytest
from folding import fold
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import size
from parsers import CHATS, PARSERS

from rxagents import StreamChunk, ToolCall, Usage
from rxagents.core.chunks import TextBurst
from rxagents.testing import Reply
from rxagents.testing.wires import WIRES, ServedWire
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.think_tags import DEFAULT_TAGS

WITHOUT_CALL_IDS = {":streamGenerateContent", "/api/chat", "/api/generate"}
"""Their parsers make up random ids."""
each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.path)
each_wire_with_bursts = pytest.mark.parametrize("wire", CHATS, ids=lambda wire: wire.path)

WORDS = st.sampled_from(["a", " b", "é", "😀", "\n", '"\\', "<think>", "</think>", ""])
REPLIES = st.builds(
    Reply,
    st.lists(WORDS.filter(bool), max_size=20),
    reasoning=st.sampled_from(["", "hm"]),
    tool_calls=st.lists(st.just(ToolCall("c1", "add", '{"a":1}')), max_size=1),
    usage=st.none() | st.just(Usage(3, 4, 7)),
)
CUTS = st.lists(st.floats(0, 1), max_size=6)
TAGS = st.sampled_from([None, DEFAULT_TAGS])

DELTAS = st.one_of(
    st.fixed_dictionaries({"content": WORDS | st.sampled_from(["x", "y", "\ud83d", "\ude00"])}),
    st.fixed_dictionaries({"content": st.none()}),
    st.fixed_dictionaries({"reasoning": WORDS, "content": WORDS}),
    st.fixed_dictionaries({"refusal": WORDS}),
)
CHOICES = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 0, 0, 1]), "delta": DELTAS},
    optional={"finish_reason": st.sampled_from([None, None, "stop"])},
)
EVENTS = st.fixed_dictionaries(
    {"choices": st.tuples(CHOICES) | st.lists(CHOICES, max_size=2)},
    optional={
        "id": st.just("id-1"),
        "model": st.sampled_from(["m", "n"]),
        "usage": st.sampled_from([None, {"prompt_tokens": 1}]),
        "error": st.sampled_from([None, None, {"message": "It broke."}]),
    },
)
PLAIN = st.builds(lambda text: {"choices": [{"index": 0, "delta": {"content": text}}]}, WORDS)

PLAIN_READS = st.lists(
    st.lists(st.tuples(st.sampled_from([0, 0, 0, 1]), WORDS), min_size=1, max_size=4),
    min_size=2,
    max_size=5,
)


def split(body: bytes, cuts: Sequence[float]) -> list[bytes]:
    edges = sorted({0, len(body), *(int(cut * len(body)) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(edges)]


def parse(parser: WireParser, pieces: list[bytes]) -> list[StreamChunk]:
    chunks = [chunk for time, piece in enumerate(pieces) for chunk in parser.feed(piece, time)]
    return chunks + parser.flush(len(pieces))


def expanded(chunks: list[StreamChunk]) -> Iterator[tuple[StreamChunk, str]]:
    """Yield each chunk and its `content`, and the chunks that a burst stands for."""
    for chunk in chunks:
        if not isinstance(chunk, TextBurst):
            yield chunk, chunk.content
            continue
        assert chunk.has_content
        assert all(chunk.deltas)
        assert chunk.delta == "".join(chunk.deltas)
        before = len(chunk.content) - len(chunk.delta)
        ends = accumulate(map(len, chunk.deltas), initial=before)
        for index, (delta, end) in enumerate(zip(chunk.deltas, list(ends)[1:], strict=True)):
            single = StreamChunk(
                delta,
                chunk.index + index,
                chunk.choice,
                usage=chunk.usage,
                metadata=chunk.metadata,
                timestamp=chunk.timestamp,
            )
            yield single, chunk.content[:end]


def check(make: Any, pieces: list[bytes], **info: Any) -> list[StreamChunk]:
    """Check that a parser with bursts emits the same as one without; return its chunks."""
    plain, bursting = (
        make(StreamInfo("acme", **info)),
        make(StreamInfo("acme", bursts=True, **info)),
    )
    chunks, with_bursts = parse(plain, pieces), parse(bursting, pieces)
    assert msgspec.json.encode(list(expanded(with_bursts))) == msgspec.json.encode(
        [(chunk, chunk.content) for chunk in chunks]
    )
    for choice in (0, 1):
        assert fold(with_bursts, choice) == fold(chunks, choice)
    assert repr(bursting.error) == repr(plain.error)
    assert (bursting.events, bursting.done) == (plain.events, plain.done)
    assert bursting.complete == plain.complete
    return with_bursts


@each_wire
@settings(deadline=None, max_examples=size(60, quick=25))
@given(reply=REPLIES, cuts=CUTS, tags=TAGS)
def test_bursts_stand_for_the_same_chunks(
    wire: ServedWire, reply: Reply, cuts: list[float], tags: tuple[str, str] | None
) -> None:
    if wire.path in WITHOUT_CALL_IDS:
        reply = Reply(reply.text, reasoning=reply.reasoning, usage=reply.usage)
    body = b"".join([*wire.events(reply, "m", "id-1"), wire.end])
    check(PARSERS[wire.path], split(body, cuts), think_tags=tags)


@settings(deadline=None, max_examples=size(200, quick=60))
@given(events=st.lists(PLAIN | EVENTS, max_size=12), cuts=CUTS, tags=TAGS)
def test_bursts_of_odd_chat_completions(
    events: list[Any], cuts: list[float], tags: tuple[str, str] | None
) -> None:
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    check(ChatCompletionsParser, split(body, cuts), think_tags=tags)


@settings(deadline=None, max_examples=size(150, quick=50))
@given(reads=PLAIN_READS, tags=TAGS)
def test_bursts_of_plain_chat_completions(
    reads: list[list[tuple[int, str]]], tags: tuple[str, str] | None
) -> None:
    pieces = [
        b"".join(
            b'data: {"choices": [{"index": %d, "delta": {"content": %s}}]}\n\n'
            % (index, json.dumps(text).encode())
            for index, text in read
        )
        for read in reads
    ]
    check(ChatCompletionsParser, pieces, think_tags=tags)


@each_wire_with_bursts
def test_texts_of_one_read_are_one_burst(wire: ServedWire) -> None:
    events = wire.events(Reply(list("abcdefghij")), "m", "id-1")
    last = next(n for n, event in enumerate(events) if b'"j"' in event)
    edges = [0, last - 4, last - 2, last + 1, len(events)]
    reads = [b"".join(events[start:end]) for start, end in pairwise(edges)]
    chunks = check(PARSERS[wire.path], reads)
    bursts = [chunk for chunk in chunks if isinstance(chunk, TextBurst)]
    assert bursts[-1].deltas == ["h", "i", "j"]


@each_wire_with_bursts
def test_raw_chunks_are_single(wire: ServedWire) -> None:
    body = b"".join(wire.events(Reply(list("abcdefgh")), "m", "id-1"))
    chunks = check(PARSERS[wire.path], [body[:-500], body[-500:]], raw=True)
    assert [type(chunk) for chunk in chunks] == [StreamChunk] * len(chunks)
    assert all(chunk.raw for chunk in chunks)
