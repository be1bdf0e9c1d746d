"""The event-stream decoder, compared with a slow reference at every split of the bytes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxagents.parsing.sse import EventFramer, ServerSentEvent, SSEDecoder


def reference(stream: bytes) -> tuple[list[ServerSentEvent], int | None]:
    """Decode a whole stream step by step as the standard describes; return its events and retry."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events: list[ServerSentEvent] = []
    data: list[str] = []
    kind, last_id, retry = "", "", None
    for line in re.split("\r\n|\n|\r", text)[:-1]:
        if line == "":
            if data:
                events.append(ServerSentEvent(kind or "message", "\n".join(data), last_id))
            data, kind = [], ""
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        if name == "event":
            kind = value
        if name == "id" and "\0" not in value:
            last_id = value
        if name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events, retry


def decode(*feeds: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    events = [event for data in feeds for event in decoder.feed(data)]
    assert decoder.error is None
    return events


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


LINE_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
VALUES = st.one_of(
    st.text("ab :\0é😀\ufeff", max_size=5).map(str.encode),
    st.sampled_from([b"12", b"007", b"1x", b"\xff", b"\xe2\x82", b"\xf0\x9f", b"\xed\xa0\x80"]),
)
FIELDS = st.builds(
    lambda name, colon, value: name + colon + value,
    st.sampled_from([b"data", b"event", b"id", b"retry", b"", b" data", b"other", b"\xef\xbb\xbf"]),
    st.sampled_from([b":", b": ", b":  "]),
    VALUES,
)
LINES = st.one_of(FIELDS, st.sampled_from([b"", b"", b"data", b"id", b"event", b":", b"retry"]))
WELL_FORMED = st.builds(
    lambda bom, lines, tail: bom + b"".join(line + end for line, end in lines) + tail,
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, LINE_ENDS), max_size=8),
    st.one_of(st.just(b""), LINES),
)
ARBITRARY = st.lists(
    st.one_of(
        st.sampled_from([b"\r", b"\n", b"\n\n", b"\r\n", b"data:", b"data: x\n\n", b"id:"]),
        st.binary(max_size=4),
    ),
    max_size=16,
).map(b"".join)
STREAMS = st.one_of(WELL_FORMED, ARBITRARY)


@settings(deadline=None)
@given(STREAMS)
@example(b"data: a\r\n\ndata: b\n\n")
@example(b"data: a\r\n\r\ndata: b\r\r")
@example(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n")
def test_every_split_decodes_like_reference(stream: bytes) -> None:
    expected, _ = reference(stream)
    assert decode(stream) == expected
    assert decode(*one_by_one(stream)) == expected
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == expected


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 80)))
def test_flush_acts_like_blank_line(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(stream)]
    decoder = SSEDecoder()
    events = [event for a, b in pairwise(places) for event in decoder.feed(stream[a:b])]
    events += decoder.flush()
    assert (events, decoder.retry) == reference(stream + b"\n\n")


@settings(deadline=None)
@given(STREAMS)
def test_framer_only_changes_line_ends(stream: bytes) -> None:
    framer = EventFramer()
    blocks = [framer.feed(data) for data in one_by_one(stream)]
    normal = re.sub(b"\r\n|\r", b"\n", stream.removeprefix(b"\xef\xbb\xbf"))
    assert b"".join(blocks) + framer.flush() == normal
    assert b"".join(blocks) == EventFramer().feed(stream)
    complete = b""
    for block in filter(None, blocks):
        complete += block
        assert complete.endswith(b"\n\n")


def message(data: str, event: str = "message", last_id: str = "") -> ServerSentEvent:
    return ServerSentEvent(event, data, last_id)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data: a\n\n", [message("a")], id="LF"),
        pytest.param(b"data: a\r\r", [message("a")], id="CR"),
        pytest.param(b"data: a\r\n\r\n", [message("a")], id="CRLF"),
        pytest.param(b"data: a\r\n\n", [message("a")], id="CRLF, then LF"),
        pytest.param(b"data: a\n\r\n", [message("a")], id="LF, then CRLF"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [message("a")], id="BOM"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="BOM only once"),
        pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [message("a")], id="BOM only first"),
        pytest.param(b"data:a\n\ndata:  b\n\n", [message("a"), message(" b")], id="one space"),
        pytest.param(b"data:\ta\n\n", [message("\ta")], id="tab after the colon"),
        pytest.param(b"data: a:b: c\n\n", [message("a:b: c")], id="colons in the value"),
        pytest.param(b": hello\n:\ndata: a\n: x\n\n", [message("a")], id="comments"),
        pytest.param(b"data: a\ndata\ndata: b\n\n", [message("a\n\nb")], id="data lines"),
        pytest.param(b"data\n\n", [message("")], id="empty data"),
        pytest.param(b"data:\ndata:\n\n", [message("\n")], id="two empty data lines"),
        pytest.param(b"event: x\n\ndata: a\n\n", [message("a")], id="event without data"),
        pytest.param(b"event: x\nevent\ndata: a\n\n", [message("a")], id="event twice"),
        pytest.param(b"event: x\ndata: a\n\n", [message("a", "x")], id="event"),
        pytest.param(b" data: a\nDATA: a\ndat: a\n\n", [], id="unknown fields"),
        pytest.param(
            b"id: 1\ndata: a\n\ndata: b\n\n",
            [message("a", last_id="1"), message("b", last_id="1")],
            id="id of an earlier event",
        ),
        pytest.param(
            b"id: 1\n\nid: 2\0\ndata: a\n\nid\ndata: b\n\n",
            [message("a", last_id="1"), message("b")],
            id="id without data, with NUL, emptied",
        ),
        pytest.param(
            b"data: \xff\xe2\x82\ndata: \xe2\x82\xac\n\n",
            [message("\ufffd\ufffd\n€")],
            id="invalid UTF-8",
        ),
    ],
)
def test_rules_of_the_standard(stream: bytes, expected: list[ServerSentEvent]) -> None:
    assert decode(stream) == expected
    assert decode(*one_by_one(stream)) == expected
    assert reference(stream)[0] == expected


def test_blank_line_dispatches_event() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [message("a")]
    assert decoder.feed(b"data: b\r") == []
    assert decoder.feed(b"\r") == [message("b")]


def test_flush_returns_last_event_once() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"id: 7\ndata: a") == []
    assert decoder.flush() == [message("a", last_id="7")]
    assert decoder.flush() == []


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        (b"1500", 1500),
        (b"0", 0),
        (b"", None),
        (b"-5", None),
        (b"1.5", None),
        (b"5s", None),
        ("\u0661".encode(), None),
        (b"9" * 4000, int("9" * 4000)),
    ],
)
def test_retry_accepts_only_digits(value: bytes, retry: int | None) -> None:
    decoder = SSEDecoder()
    decoder.feed(b"retry: " + value + b"\n\n")
    assert decoder.retry == retry


def test_huge_retry_does_not_raise() -> None:
    stream = b"retry: " + b"9" * 10_000 + b"\ndata: a\n\n"
    assert decode(stream) == [message("a")]
