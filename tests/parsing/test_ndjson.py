"""Newline-delimited JSON: every split of the bytes, errors that lose no value, and limits."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from cpu_time import cpu_seconds
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.parsing.ndjson import NDJSONDecoder

MIB = 1024 * 1024


def reference(stream: bytes) -> tuple[list[Any], bool]:
    """Return the values of a whole stream up to the first line that is not JSON."""
    values: list[Any] = []
    for line in stream.split(b"\n"):
        if not line.strip(b" \t\r"):
            continue
        try:
            values.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return values, False
    return values, True


def decode(*feeds: bytes) -> tuple[list[Any], ProviderError | None]:
    decoder = NDJSONDecoder()
    values = [value for data in feeds for value in decoder.feed(data)]
    return values + decoder.flush(), decoder.error


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text('a\n\r\\"é😀', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(JSON, st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n \r\n"])),
        max_size=5,
    ),
    st.booleans(),
)
def test_every_split_gives_all_values(
    lines: list[tuple[Any, bool, bytes]], last_line_ends: bool
) -> None:
    stream = b"".join(json.dumps(v, ensure_ascii=a).encode() + end for v, a, end in lines)
    stream = stream if last_line_ends else stream.rstrip()
    values = [value for value, _, _ in lines]
    for feeds in ([stream], one_by_one(stream)):
        assert decode(*feeds) == (values, None)
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == (values, None)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"1", b"{}", b'{"a":', b"\n", b"\n", b"\r\n", b" ", b"]", b"\x0b", b'"'])
        | st.binary(max_size=3),
        max_size=12,
    ).map(b"".join),
)
@example(b"1\n2\nx\n3\n")
@example(b"1\x0b\n")
@example(b"\x0c\n1\n")
def test_values_before_first_bad_line_are_returned(stream: bytes) -> None:
    values, is_valid = reference(stream)
    for feeds in ([stream], one_by_one(stream)):
        decoded, error = decode(*feeds)
        assert decoded == values
        assert isinstance(error, StreamDecodeError) != is_valid


def test_line_end_completes_value() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'{"a":') == []
    assert decoder.feed(b" 1}") == []
    assert decoder.feed(b"\n2\n3") == [{"a": 1}, 2]
    assert decoder.flush() == [3]
    assert decoder.flush() == []


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"a": }', id="not JSON"),
        pytest.param(b"1 2", id="two values"),
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b"9" * 10_000, id="a number of many digits"),
        pytest.param(b"NaN", id="no JSON number"),
    ],
)
def test_bad_line_is_typed_error(line: bytes) -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'"a"\n"b"\n' + line + b'\n"c"\n') == ["a", "b"]
    assert isinstance(decoder.error, StreamDecodeError)
    assert len(str(decoder.error)) < 1000
    assert decoder.feed(b'"d"\n') == []
    assert decoder.flush() == []


def test_bad_last_line_is_typed_error() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'1\n{"a":') == [1]
    assert decoder.error is None
    assert decoder.flush() == []
    assert isinstance(decoder.error, StreamDecodeError)
    assert '{"a":' in str(decoder.error)


def test_feeding_single_bytes_is_linear() -> None:
    def seconds_per_byte(stream: bytes) -> float:
        feeds = one_by_one(stream)

        def decode() -> None:
            feed = NDJSONDecoder().feed
            for data in feeds:
                feed(data)

        return cpu_seconds(decode, repeats=2) / len(stream)

    assert seconds_per_byte(b"x" * 300_000) < 3 * seconds_per_byte(b"x" * 30_000)


def test_endless_line_takes_bounded_memory() -> None:
    decoder = NDJSONDecoder()
    tracemalloc.start()
    try:
        for _ in range(1024):
            assert decoder.feed(bytes(bytearray(b"1") * 65_536)) == []
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(decoder.error, LimitExceededError)
    assert "8388608 bytes. Raise max_line_bytes" in str(decoder.error)
    assert peak < 9 * MIB
    assert kept < MIB


@pytest.mark.parametrize("rest", [b"", b"\n", b"\n4\n"])
def test_values_before_long_line_are_returned(rest: bytes) -> None:
    decoder = NDJSONDecoder(max_line_bytes=8)
    assert decoder.feed(b"12345678\n2\n123456789" + rest) == [12345678, 2]
    assert isinstance(decoder.error, LimitExceededError)
    assert decoder.feed(b"5\n") == []
    assert decoder.flush() == []
    assert isinstance(decoder.error, LimitExceededError)


def test_bad_line_before_long_line_is_the_error() -> None:
    decoder = NDJSONDecoder(max_line_bytes=8)
    assert decoder.feed(b"1\nx\n2\n" + b"3" * 20) == [1]
    assert isinstance(decoder.error, StreamDecodeError)


@pytest.mark.parametrize("line", [b"[" * 4, b"[[[[]]]]", b'{"a":[{"b":{}}]}'])
def test_deep_line_is_typed_error(line: bytes) -> None:
    decoder = NDJSONDecoder(max_json_depth=3)
    assert decoder.feed(b'["[[[["]\n[[[]]]\n' + line + b"\n1\n") == [["[[[["], [[[]]]]
    assert type(decoder.error) is LimitExceededError
