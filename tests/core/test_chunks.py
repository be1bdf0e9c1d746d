"""Chunks: `content` is joined when read, is not encoded, and never changes."""

from __future__ import annotations

import random
import sys
import threading
import tracemalloc
from typing import Any

import msgspec
import pytest
from msgspec import structs

from rxagents import StreamChunk, ToolCallDelta, Usage
from rxagents.core.chunks import TextBuffer, set_content, set_raw

FULL = StreamChunk(
    delta="é",
    index=7,
    choice=1,
    finish_reason="tool_calls",
    reasoning="hm",
    refusal="no",
    tool_calls=(ToolCallDelta(0, "call_1", "add", '{"a": 1}', sealed=True), ToolCallDelta(1)),
    usage=Usage(1, 2, 3, raw={"prompt_tokens": 1}),
    metadata={"model": "m", "nested": {"a": [1, None]}},
    timestamp=12.5,
)


def stream(*deltas: str) -> list[StreamChunk]:
    """Return the chunks of a stream, with `content` set as a wire sets it."""
    buffer, chunks = TextBuffer(), []
    for index, delta in enumerate(deltas):
        chunk = StreamChunk(delta, index)
        set_content(chunk, (buffer, buffer.append(delta)))
        chunks.append(chunk)
    return chunks


def test_content_is_all_text_so_far() -> None:
    assert [chunk.content for chunk in stream("Hel", "", "lo", " 😀")] == [
        "Hel",
        "Hel",
        "Hello",
        "Hello 😀",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_order_of_reading_changes_no_content(seed: int) -> None:
    deltas = [f"{i};" for i in range(200)]
    chunks = stream(*deltas)
    order = random.Random(seed).choices(range(200), k=400)
    for i in order:
        assert chunks[i].content == "".join(deltas[: i + 1])


def test_reading_early_changes_no_later_content() -> None:
    buffer = TextBuffer()
    chunks = []
    for i in range(100):
        chunk = StreamChunk(str(i))
        set_content(chunk, (buffer, buffer.append(str(i))))
        chunks.append(chunk)
        if i % 7 == 0:
            assert chunks[i // 2].content == "".join(map(str, range(i // 2 + 1)))
    assert [c.content for c in chunks] == ["".join(map(str, range(i + 1))) for i in range(100)]


def test_other_threads_read_whole_content() -> None:
    buffer = TextBuffer()
    chunks: list[StreamChunk] = []
    wrong: list[str] = []

    def read() -> None:
        while len(chunks) < 20_000:
            if chunks:
                chunk = chunks[-1]
                text = chunk.content
                if not text.endswith(chunk.delta) or text.count(";") != chunk.index + 1:
                    wrong.append(text)

    readers = [threading.Thread(target=read) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for reader in readers:
            reader.start()
        for i in range(20_000):
            chunk = StreamChunk(f"{i};", i)
            set_content(chunk, (buffer, buffer.append(f"{i};")))
            chunks.append(chunk)
        for reader in readers:
            reader.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert chunks[-1].content == "".join(chunk.delta for chunk in chunks)


def test_long_pieces_are_not_copied() -> None:
    buffer = TextBuffer()
    tracemalloc.start()
    try:
        for number in range(330):
            buffer.append(f"{number:05}" * 200)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * buffer.end


def test_content_without_stream_is_delta() -> None:
    assert StreamChunk("a").content == "a"
    assert StreamChunk().content == ""


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_chunk_survives_round_trip(codec: Any) -> None:
    assert codec.decode(codec.encode(FULL), type=StreamChunk) == FULL


def test_content_is_neither_encoded_nor_compared() -> None:
    _, chunk = stream("Hel", "lo")
    fields = msgspec.to_builtins(chunk)
    assert "content" not in fields
    assert b"Hel" not in msgspec.json.encode(chunk)
    assert chunk == StreamChunk("lo", 1)
    decoded = msgspec.json.decode(msgspec.json.encode(chunk), type=StreamChunk)
    assert decoded == chunk
    assert decoded.content == "lo"


def test_raw_is_neither_encoded_nor_compared() -> None:
    chunk = StreamChunk("lo", 1)
    assert chunk.raw is None
    encoded = msgspec.json.encode(chunk)
    set_raw(chunk, b'{"text":"lo"}')
    assert chunk.raw == b'{"text":"lo"}'
    assert msgspec.json.encode(chunk) == encoded
    assert chunk == StreamChunk("lo", 1)
    assert msgspec.json.decode(encoded, type=StreamChunk).raw is None
    assert structs.replace(chunk, delta="LO").raw is None


def test_content_of_replaced_chunk_is_delta() -> None:
    _, chunk = stream("Hel", "lo")
    assert structs.replace(chunk, delta="LO").content == "LO"
    assert structs.replace(chunk, delta="LO") != chunk
    assert chunk.content == "Hello"


@pytest.mark.parametrize("name", ["delta", "index", "metadata"])
def test_chunk_is_frozen(name: str) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        setattr(FULL, name, None)


def test_defaults_are_empty_and_not_shared() -> None:
    chunk = StreamChunk()
    assert (chunk.delta, chunk.finish_reason, chunk.reasoning, chunk.refusal) == ("", "", "", "")
    assert (chunk.tool_calls, chunk.usage, chunk.metadata) == ((), None, {})
    assert StreamChunk().metadata is not chunk.metadata
    assert ToolCallDelta(0) == ToolCallDelta(0, "", "", "", sealed=False)
