"""Framing and ends of chat-completions streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rxagents import StreamChunk
from rxagents.core.response import ResponseBuilder
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo

DONE = b"data: [DONE]\n\n"


def event(finish: str | None = None, index: int = 0, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    body = {"id": "c-1", "model": "m-1", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def decode(stream: bytes) -> tuple[list[StreamChunk], ChatCompletionsParser]:
    """Decode a stream whole, byte by byte and with a comment in it; all results must be equal."""
    results = []
    for feeds in (
        [stream],
        [stream[i : i + 1] for i in range(len(stream))],
        [b": hi\n\n" + stream],
    ):
        parser = ChatCompletionsParser(StreamInfo())
        chunks = [chunk for data in feeds for chunk in parser.feed(data, 1.0)]
        chunks += parser.flush(1.0)
        assert parser.error is None
        results.append((chunks, [c.content for c in chunks], parser.done, parser.complete))
    assert results[0] == results[1] == results[2]
    return results[0][0], parser


A, B, STOP = event(content="a"), event(content="b"), event("stop")


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(A + B + STOP + DONE, id="plain"),
        pytest.param((A + B + STOP).replace(b"\n", b"\r\n"), id="CRLF and no DONE"),
        pytest.param((A + B + STOP + DONE).replace(b"\n", b"\r"), id="CR"),
        pytest.param((A + B + STOP + DONE).replace(b"\n\n", b"\r\n\n"), id="mixed line ends"),
        pytest.param((A + B + STOP + DONE).replace(b"data: ", b"data:"), id="no space"),
        pytest.param((A + B + STOP + DONE).replace(b"data", b"event: x\nid: 1\ndata"), id="fields"),
        pytest.param(b"\n\n" + A + b"\n\n\n" + B + b"\n" + STOP + DONE, id="blank lines"),
        pytest.param(A + b": PROCESSING\n\n" + B + b":\n" + STOP + DONE, id="comments"),
        pytest.param(A + b" data: {oops\n\n" + B + b' data: {"choices":[]}\n' + STOP + DONE,
                     id="space before data"),
        pytest.param(A.replace(b'"choices"', b'\ndata: "choices"') + B + STOP + DONE,
                     id="JSON over two data lines"),
        pytest.param(A + b"data:\n\n" + B + b"data: \n\n" + STOP + DONE, id="empty data"),
        pytest.param(A + b"retry: 5\n\n" + B + b"surprise: x\n" + STOP + DONE, id="other fields"),
        pytest.param(A + event(content="b")[:-2] + b'\nerror: {"message": "no"}\n\n' + STOP + DONE,
                     id="error field, complete response"),
        pytest.param(A + B + STOP[:-2], id="no last blank line"),
        pytest.param(A + B + STOP[:-1], id="half of the last blank line"),
        pytest.param(A + B + STOP + b"data: [DONE]", id="DONE without line end"),
        pytest.param(A + B + STOP + b"data:[DONE]  \r\n\r\n", id="DONE with spaces"),
        pytest.param(A + B + STOP + DONE + A + b"data: {oops\n\n", id="bytes after DONE"),
        pytest.param(A + B + STOP + DONE + DONE, id="DONE twice"),
    ],
)  # fmt: skip
def test_framing_does_not_change_response(stream: bytes) -> None:
    chunks, parser = decode(stream)
    assert [(chunk.delta, chunk.content, chunk.index) for chunk in chunks] == [
        ("a", "a", 0),
        ("b", "ab", 1),
        ("", "ab", 2),
    ]
    assert chunks[-1].finish_reason == "stop"
    assert parser.complete
    assert parser.done is (b"DONE" in stream)


@pytest.mark.parametrize("line", [A[6:-2], b"{}", b'"x"', A[6:-2] + b"\n" + B[6:-2]])
@pytest.mark.parametrize("blank", [b"\n", b"\n\n"])
@pytest.mark.parametrize("quiet", [b"", b"data: \n\n"])
def test_lines_that_are_not_fields_are_ignored(line: bytes, blank: bytes, quiet: bytes) -> None:
    chunks, _ = decode(A[:-1] + blank[1:] + line + b"\n\n" + quiet + B + STOP)
    assert [chunk.content for chunk in chunks] == ["a", "ab", "ab"]


@pytest.mark.parametrize(
    ("stream", "complete"),
    [
        (b"", False),
        (b": only a comment\n\n", False),
        (event(role="assistant"), False),
        (A, False),
        (A + DONE, True),
        (DONE, False),
        (STOP, True),
        (A + STOP[:-10], False),
        (STOP + event(index=1, content="x"), False),
        (A + B + event(index=1, role="assistant", content="") + STOP, False),
        (STOP + event("length", index=1), True),
    ],
)
def test_complete_after_done_or_finish(stream: bytes, complete: bool) -> None:
    for size in (1, 60, 10_000):
        parser = ChatCompletionsParser(StreamInfo())
        for i in range(0, len(stream), size):
            parser.feed(stream[i : i + size], 1.0)
        parser.flush(1.0)
        assert parser.complete is complete
        assert parser.error is None


def test_done_ends_stream_at_once() -> None:
    parser = ChatCompletionsParser(StreamInfo())
    assert [chunk.delta for chunk in parser.feed(A + DONE + B, 1.0)] == ["a"]
    assert parser.done
    assert parser.feed(B + b"data: {oops\n\n", 2.0) == []
    assert parser.flush(3.0) == []
    assert parser.error is None


def test_byte_order_mark_is_skipped() -> None:
    parser = ChatCompletionsParser(StreamInfo())
    chunks = [c for feed in (b"\xef\xbb", b"\xbf" + A, B) for c in parser.feed(feed, 1.0)]
    assert [chunk.delta for chunk in chunks] == ["a", "b"]


def test_last_byte_of_event_gives_chunk() -> None:
    parser = ChatCompletionsParser(StreamInfo())
    assert parser.feed(A[:-1], 1.0) == []
    assert [chunk.delta for chunk in parser.feed(A[-1:] + B[:5], 1.0)] == ["a"]
    assert [chunk.delta for chunk in parser.feed(B[5:] + A + A[:-2], 1.0)] == ["b", "a"]
    assert [chunk.delta for chunk in parser.flush(1.0)] == ["a"]


def test_events_without_chunk_are_counted() -> None:
    parser = ChatCompletionsParser(StreamInfo())
    parser.feed(b": hi\n\n" + event(role="assistant"), 1.0)
    assert parser.events == 1
    parser.feed(A + B, 1.0)
    assert parser.events == 3
    parser.feed(DONE, 1.0)
    assert parser.events == 4


def test_line_of_half_a_megabyte() -> None:
    parser = ChatCompletionsParser(StreamInfo())
    text = "x" * 500_000
    stream = event(content=text) + STOP + DONE
    chunks = [
        c for i in range(0, len(stream), 4096) for c in parser.feed(stream[i : i + 4096], 1.0)
    ]
    assert chunks[0].delta == text
    assert parser.done


HIGH, LOW = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([HIGH + LOW], "😀"),
        ([HIGH, LOW], "😀"),
        (["a" + HIGH, LOW + "b"], "a😀b"),
        ([HIGH, LOW + HIGH, LOW], "😀😀"),
        ([HIGH, "", LOW], "😀"),
        ([HIGH, "x"], "\ufffdx"),
        ([HIGH, HIGH, LOW], "\ufffd😀"),
        ([LOW, "x"], "\ufffdx"),
        ([LOW, HIGH], "\ufffd\ufffd"),
        (["a", HIGH], "a\ufffd"),
    ],
)
@pytest.mark.parametrize("key", ["content", "reasoning", "reasoning_content", "refusal"])
def test_cut_character_is_joined_or_replaced(key: str, pieces: list[str], text: str) -> None:
    deltas: list[dict[str, Any]] = [{key: piece} for piece in pieces]
    chunks, _ = decode(b"".join(event(**delta) for delta in deltas) + STOP + DONE)
    builder = ResponseBuilder()
    for chunk in chunks:
        assert b"\xed" not in (chunk.delta + chunk.reasoning + chunk.refusal).encode()
        builder.add(chunk)
    response = builder.response()
    assert getattr(response, key.removesuffix("_content")) == text
    assert response.finish_reason == "stop"


def test_halves_of_different_choices_stay_apart() -> None:
    stream = b"".join(
        event(index=index, content=piece) for piece in (HIGH, LOW) for index in (0, 1)
    )
    chunks, _ = decode(stream + STOP + event("stop", index=1) + DONE)
    assert [(c.choice, c.delta) for c in chunks if c.delta] == [(0, "😀"), (1, "😀")]


def test_last_half_without_done_is_replaced() -> None:
    chunks, parser = decode(A + event("stop", content=HIGH))
    assert chunks[-1].content == "a\ufffd"
    assert parser.complete


def test_raw_and_escaped_characters_may_alternate() -> None:
    raw = event(content="é😀").replace(rb"\u00e9\ud83d\ude00", "é😀".encode())
    assert "é".encode() in raw
    chunks, _ = decode(raw + event(content=HIGH) + event(content=LOW) + raw + STOP + DONE)
    assert chunks[-1].content == "é😀😀é😀"


@pytest.mark.parametrize("end", [DONE, b"data: []\n\n"], ids=["end marker", "bad event"])
def test_long_read_ends_at_second_event(end: bytes) -> None:
    parser = ChatCompletionsParser(StreamInfo())
    chunks = parser.feed(A + end + B * 100, 1.0)
    assert [chunk.delta for chunk in chunks] == ["a"]
    assert (parser.done, parser.error is None) == (end == DONE, end == DONE)
