"""Bodies decoded without a connection: however they are split, and where decoding stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxagents.parsing.http_body import BodyDecoder, ChunkedDecoder, LengthDecoder

END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def feed_all(decoder: BodyDecoder, data: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """Return the body, and what was not decoded."""
    body, start = b"", 0
    for end in (*sorted(cuts), len(data)):
        if decoder.is_over:
            break
        body += decoder.feed(data[start:end])
        start = end
    return body, decoder.rest + data[start:]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_any_split_gives_the_same_body(pieces: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(map(chunk, pieces)) + END
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=8))
    decoder = ChunkedDecoder()
    assert feed_all(decoder, wire, cuts) == (b"".join(pieces), b"")
    assert decoder.done


def test_data_is_not_held_back() -> None:
    decoder = ChunkedDecoder()
    assert [decoder.feed(bytes([byte])) for byte in b"2\r\nab\r\n"] == [
        b"", b"", b"", b"a", b"b", b"", b"",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [b"1;a=b\r\n", b"1 \r\n", b" 1\r\n", b"+1\r\n", b"-1\r\n", b"0x1\r\n", b"1_0\r\n", b"1\n",
     b"\r\n", b"000000001\r\n", b"ffffffffffffffff1\r\n", b"\xd9\xa1\r\n", b"0\r\na: b\r\n\r\n",
     b"0\r\n\n", b"0;a\r\n\r\n", b"00\r\r\n", b"zz"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 99])
def test_decoding_stops_before_other_lines(line: bytes, size: int) -> None:
    wire = chunk(b"abc") + line + b"x" * 20
    decoder = ChunkedDecoder()
    body, rest = feed_all(decoder, wire, list(range(0, len(wire), size)))
    assert (body, rest, decoder.done, decoder.error) == (b"abc", line + b"x" * 20, False, "")


def test_bytes_after_the_last_chunk_are_the_rest() -> None:
    decoder = ChunkedDecoder()
    assert feed_all(decoder, chunk(b"a") + END + b"HTTP/1.1", []) == (b"a", b"HTTP/1.1")
    assert decoder.done


@pytest.mark.parametrize("end", [b"xx", b"\rx", b"\nx"])
@pytest.mark.parametrize("cuts", [[], [4], [5]])
def test_data_without_its_line_end_is_an_error(end: bytes, cuts: list[int]) -> None:
    decoder = ChunkedDecoder()
    body, _ = feed_all(decoder, b"1\r\na" + end + END, cuts)
    assert body == b"a"
    assert decoder.error
    assert not decoder.done


def test_bare_line_feed_after_data_if_not_strict() -> None:
    decoder = ChunkedDecoder(strict=False)
    assert feed_all(decoder, b"1\r\na\n" + END, []) == (b"a", b"")
    assert decoder.done


@pytest.mark.parametrize("cuts", [[], [1], [3], [1, 2, 3, 4]])
def test_body_of_a_known_length(cuts: list[int]) -> None:
    decoder = LengthDecoder(3)
    assert feed_all(decoder, b"abcde", cuts) == (b"abc", b"de")
    assert decoder.done
