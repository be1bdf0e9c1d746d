"""The event-stream decoder is linear, and its memory is bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from cpu_time import cpu_seconds
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxagents.core.errors import LimitExceededError
from rxagents.parsing.sse import SSEDecoder

MIB = 1024 * 1024


def fresh_pieces(size: int, total: int) -> Iterator[bytes]:
    """Yield bytes that share no memory, as reads from a socket do."""
    for _ in range(total // size):
        yield bytes(bytearray(b"x") * size)


def seconds_per_byte(stream: bytes) -> float:
    feeds = [stream[i : i + 1] for i in range(len(stream))]

    def decode() -> None:
        feed = SSEDecoder().feed
        for data in feeds:
            feed(data)

    return cpu_seconds(decode, repeats=2) / len(stream)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"x", id="one line"),
        pytest.param(b"data: x\n", id="one event of many lines"),
        pytest.param(b"\r", id="blank lines"),
    ],
)
def test_feeding_single_bytes_is_linear(unit: bytes) -> None:
    short = b"data: " + unit * (30_000 // len(unit))
    long = b"data: " + unit * (300_000 // len(unit))
    assert seconds_per_byte(long) < 3 * seconds_per_byte(short)


def test_endless_line_takes_bounded_memory() -> None:
    decoder = SSEDecoder()
    tracemalloc.start()
    try:
        assert decoder.feed(b"data: ") == []
        for piece in fresh_pieces(64 * 1024, 64 * MIB):
            assert decoder.feed(piece) == []
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(decoder.error, LimitExceededError)
    assert "8388608 bytes. Raise max_event_bytes" in str(decoder.error)
    assert peak < 9 * MIB
    assert kept < MIB


def test_limit_counts_each_event_separately() -> None:
    decoder = SSEDecoder(max_event_bytes=1024)
    event = b"data: " + b"x" * 1000 + b"\n\n"
    assert len(decoder.feed(event * 100)) == 100
    assert sum(len(decoder.feed(event[i : i + 7])) for i in range(0, len(event), 7)) == 1
    assert decoder.error is None


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_limit_excludes_blank_line(line_end: bytes) -> None:
    event = b"data: 12345678" + line_end * 2
    fits, too_long = SSEDecoder(max_event_bytes=14), SSEDecoder(max_event_bytes=13)
    assert [e.data for e in fits.feed(event)] == ["12345678"]
    assert fits.error is None
    assert too_long.feed(event) == []
    assert isinstance(too_long.error, LimitExceededError)


def test_events_before_long_one_are_returned() -> None:
    decoder = SSEDecoder(max_event_bytes=16)
    events = decoder.feed(b"data: a\n\ndata: b\n\ndata: " + b"x" * 20 + b"\n\ndata: c\n\n")
    assert [event.data for event in events] == ["a", "b"]
    assert isinstance(decoder.error, LimitExceededError)
    assert decoder.feed(b"data: d\n\n") == []
    assert decoder.flush() == []


def test_events_before_unfinished_long_one_are_returned() -> None:
    decoder = SSEDecoder(max_event_bytes=16)
    events = decoder.feed(b"data: a\n\ndata: " + b"x" * 20)
    assert [event.data for event in events] == ["a"]
    assert isinstance(decoder.error, LimitExceededError)
    assert decoder.feed(b"\n\n") == []
    assert decoder.flush() == []


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"data: a", b"data: bb", b"\n", b"\n\n", b"\r\n", b":"]), max_size=12
    ),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(8, 18),
)
@example([b"data: a", b"\n\n", b"\n", b"data: bb", b"\n\n"], [9], 10)
def test_splits_do_not_move_the_limit(pieces: list[bytes], cuts: list[int], limit: int) -> None:
    stream = b"".join(pieces)
    whole, split = SSEDecoder(limit), SSEDecoder(limit)
    expected = whole.feed(stream)
    places = [0, *sorted(cuts), len(stream)]
    events = []
    for a, b in pairwise(places):
        events += split.feed(stream[a:b])
    assert events == expected
    assert (split.error is None) == (whole.error is None)
