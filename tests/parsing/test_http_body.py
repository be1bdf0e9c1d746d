"""Bodies decoded without a connection: however they are split, and which ones are refused.

The comments name the cases where aiohttp's parsers differ; `tests/http/test_body_differential.py`
compares with them. A refusal is safe where they accept: h11, which the providers' own clients use,
refuses bare LF in and after chunks too, and nothing but an attack sends the rest.
"""

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


ACCEPTED = {
    "leading zeros": b"0000000000000000000003\r\nabc\r\n0\r\n\r\n",
    "digits of either case": b"3\r\nabc\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
    "extensions": b'3;a;b=c;d="e;\\"\xe9"\r\nabc\r\n0;f\r\n\r\n',
    "white space in extensions": b"3 ; a = b\t;c\r\nabc\r\n0\r\n\r\n",  # aiohttp's C parser refuses
    "white space after a size": b"3 \t\r\nabc\r\n0 \r\n\r\n",  # not in the RFC; see http_body.py
    "long extension": b"3;" + b"a" * 8000 + b"\r\nabc\r\n0\r\n\r\n",
    "trailers": b"3\r\nabc\r\n0\r\na: b\r\nc:\r\n\r\n",
    "continued trailer": b"3\r\nabc\r\n0\r\na: b\r\n c: d\r\n\te\r\n\r\n",
    # Dropped (RFC 9110, section 6.5.1); aiohttp's C parser refuses the length.
    "trailer with a length": b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
    "trailer with a coding": b"3\r\nabc\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
    "128 trailers": b"3\r\nabc\r\n0\r\n" + b"a: b\r\n" * 128 + b"\r\n",
}  # fmt: skip

REFUSED = {
    "no size": b"\r\n",
    "no size before an extension": b";a\r\n",
    "no hex digit": b"zz",
    "white space before a size": b" 1\r\n",
    "sign": b"+1\r\n",
    "negative": b"-1\r\n",
    "prefix": b"0x1\r\n",
    "underscore": b"1_0\r\n",
    "other digits": b"\xd9\xa1\r\n",
    "size of 2**64": b"10000000000000000\r\n",
    "size without an end": b"0" * 8190,
    "extension without an end": b"1;" + b"a" * 8188,
    "extension without a name": b"1;\r\n",  # the Python parser accepts any text
    "extension without a value": b"1;a=\r\n",  # both of aiohttp's parsers accept it
    "extension with a bare LF": b"1;a\n\r\n",  # both accept it
    "open quotation": b'1;a="b\r\n"\r\n',
    "control character in an extension": b"1;a=\x00\r\n",
    "CR in an extension": b"1;a\rb\r\n",
    "white space after an extension": b"1;a \r\n",
    "bare LF": b"1\nab",  # the Python parser accepts it
    "two bare LF": b"1\n\na\r\n",  # the C parser accepts them in place of CRLF
    "bare CR": b"1\ra",
    "two CR": b"1\r\r\n",
    "trailer without a colon": b"0\r\na b\r\n\r\n",
    "trailer without a name": b"0\r\n: b\r\n\r\n",
    "trailer that continues nothing": b"0\r\n a: b\r\n\r\n",
    "trailer with a NUL": b"0\r\na: \x00\r\n\r\n",  # the C parser accepts it
    "trailer with a bare CR": b"0\r\na: \rb\r\n\r\n",  # the C parser accepts it
    "trailer with a bare LF": b"0\r\na: b\n\r\n",  # both accept it
    "trailer without an end": b"0\r\na: " + b"b" * 8190,
    "129 trailers": b"0\r\n" + b"a: b\r\n" * 129,
    "bare LF after the last chunk": b"0\r\n\n",  # both accept it
}  # fmt: skip


@pytest.mark.parametrize("wire", ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("size", [1, 7, 99_999])
def test_valid_body_is_complete(wire: bytes, size: int) -> None:
    decoder = ChunkedDecoder()
    body, rest = feed_all(decoder, wire + b"more", list(range(0, len(wire), size)))
    assert (body.replace(b"0123456789", b""), rest) == (b"abc", b"more")
    assert (decoder.done, decoder.error) == (True, "")


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("size", [1, 7, 99_999])
def test_malformed_body_is_refused(line: bytes, size: int) -> None:
    wire = chunk(b"abc") + line
    decoder = ChunkedDecoder()
    body, rest = feed_all(decoder, wire, list(range(0, len(wire), size)))
    assert body == b"abc"
    assert rest
    assert decoder.error
    assert not decoder.done


def test_bytes_after_the_last_chunk_are_the_rest() -> None:
    decoder = ChunkedDecoder()
    assert feed_all(decoder, chunk(b"a") + END + b"HTTP/1.1", []) == (b"a", b"HTTP/1.1")
    assert decoder.done


@pytest.mark.parametrize("end", [b"xx", b"\rx", b"\nx"])  # aiohttp's parsers accept the LF
@pytest.mark.parametrize("cuts", [[], [4], [5]])
def test_data_without_its_line_end_is_an_error(end: bytes, cuts: list[int]) -> None:
    decoder = ChunkedDecoder()
    body, _ = feed_all(decoder, b"1\r\na" + end + END, cuts)
    assert body == b"a"
    assert decoder.error
    assert not decoder.done


@pytest.mark.parametrize("cuts", [[], [1], [3], [1, 2, 3, 4]])
def test_body_of_a_known_length(cuts: list[int]) -> None:
    decoder = LengthDecoder(3)
    assert feed_all(decoder, b"abcde", cuts) == (b"abc", b"de")
    assert decoder.done
