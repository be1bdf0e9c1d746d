"""Bodies that `Connection` decodes, compared with aiohttp's two parsers.

They get the same packets by hand, without a network. What we accept, both of aiohttp's parsers
accept with the same bytes; so a body never means more here than there. `_C_REFUSES` lists the
exceptions: the RFC wants them accepted, and the Python parser does.

What the C parser accepts we accept too, or it is one of `_ONLY_C_ACCEPTS`. The Python parser also
accepts bare LF everywhere, white space around a size, and any text as an extension: these are not
listed. Where both fail, one has the other's bytes and perhaps more, because they notice a fault
at different bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import DEBUG
from aiohttp.http import HttpResponseParser
from aiohttp.http_parser import HttpResponseParserPy
from aiohttp.streams import EMPTY_PAYLOAD
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import only_full

from rxagents.transport.connection import READ_BYTES, Connection

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


PARSERS = [HttpResponseParser, HttpResponseParserPy]
"""Both are the same where aiohttp was built without its C extension."""

_C_REFUSES = re.compile(
    rb"\r\ncontent-length:|[ \t];|;[ \t]|[ \t]=|=[ \t]" + rb"|\d[ \t]+\r\n|\r\n[ \t]|\x01" * DEBUG,
    re.IGNORECASE,
)
"""A length in the trailers, which is to be ignored, and white space around extensions; in Python's
development mode also white space after a size, and continued lines and control characters there."""

_ONLY_C_ACCEPTS = re.compile(rb"(?<!\r)\n|;[;=\r]|=[;\r]|:[^\n]*[\r\x00][^\n]")
"""Bare LF, extensions without a name or a value, and CR or NUL in trailers."""


class Outcome(NamedTuple):
    """What the reader of a body gets."""

    body: bytes
    is_complete: bool
    fault: str


class IdleTransport(asyncio.Transport):
    """A transport that only notes its end."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    own = asyncio.new_event_loop()
    yield own
    own.close()


def aiohttps(packets: list[bytes], loop: asyncio.AbstractEventLoop, parser: Any) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiohttp.client_proto.HttpResponseParser", parser)
        return outcome(ResponseHandler(loop), packets)


def ours(packets: list[bytes], loop: asyncio.AbstractEventLoop, taken: list[bool]) -> Outcome:
    connection = Connection(loop, memoryview(bytearray(READ_BYTES)))
    return outcome(connection, packets, taken)


def outcome(
    protocol: ResponseHandler, packets: list[bytes], taken: list[bool] | None = None
) -> Outcome:
    """Receive `packets`, and then the end of the connection."""
    transport = IdleTransport()
    protocol.transport = transport
    protocol.set_response_params(auto_decompress=False, read_until_eof=True)
    body, reader = b"", None
    for packet in packets:
        if transport.is_closed:
            break
        receive(protocol, packet)
        if taken is not None:
            assert isinstance(protocol, Connection)
            taken.append(protocol._body is not None)
        if reader is None and protocol._buffer:
            (_, reader), _ = protocol._buffer.popleft()
        if reader is not None and reader is not EMPTY_PAYLOAD:
            body += reader._read_nowait(-1)
    error = protocol.exception()
    fault = "" if error is None else str(error) or "fault"
    protocol.connection_lost(None)
    if reader is None or reader is EMPTY_PAYLOAD:
        return Outcome(b"", reader is not None, "" if reader is not None else fault)
    complete = reader.is_eof() and reader.exception() is None
    return Outcome(body + reader._read_nowait(-1), complete, "" if complete else fault)


def receive(protocol: Any, packet: bytes) -> None:
    if isinstance(protocol, Connection):
        protocol.get_buffer(-1)[: len(packet)] = packet
        protocol.buffer_updated(len(packet))
    else:
        protocol.data_received(packet)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


def compare(data: bytes, cuts: list[int], loop: asyncio.AbstractEventLoop) -> list[bool]:
    """Compare with both parsers; return after which packets our decoder was in use."""
    taken: list[bool] = []
    headers = data.find(b"\r\n\r\n") + 4
    own = ours(cut(data, cuts), loop, taken)
    for parser in PARSERS:
        # aiohttp drops the headers too if they share a packet with a broken body.
        other = aiohttps(cut(data, [headers, *cuts]), loop, parser)
        if own.is_complete:
            is_strict = parser is not HttpResponseParserPy or DEBUG
            assert own == other or (is_strict and _C_REFUSES.search(data, headers))
        elif other.is_complete:
            is_bare_lf = "Expected CRLF after a chunk's data" in own.fault
            is_c = parser is not HttpResponseParserPy
            assert not is_c or is_bare_lf or _ONLY_C_ACCEPTS.search(data, headers)
            assert own.fault
        shorter = min(len(own.body), len(other.body))
        assert own.body[:shorter] == other.body[:shorter]
    return taken


SIZES = (b"3", b"03", b"00000003", b"000000000000003", b"0000000000000000003", b"3;", b"3;a=b",
         b'3;a="\r"', b"3 ", b"3\t", b" 3", b"+3", b"-3", b"0x3", b"3_0", b"3h", b"", b"3\r",
         b"ffffffff", b"fffffffffffffffff", b"\xef\xbc\x93", b"3\0", b"4", b"2", b"1")  # fmt: skip
LINE_ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\n", b"", b" \r\n", b"\r\n\r\n")
ENDS = (b"0\r\n\r\n", b"00\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0\r\n: b\r\n\r\n", b"0\r\n\n",
        b"0\n\r\n", b"0;a\r\n\r\n", b"0\r\n\rx", b"", b"0\r\n", b"0",
        b"0\r\n\r\nHTTP/1.1 200 OK\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n\r\n",
        b"0\r\nTransfer-Encoding: x\r\n\r\n",
        b"0\r\nContent-Length: 9\r\n\r\n")  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_any_first_line_at_any_cut(
    size: bytes, line_end: bytes, loop: asyncio.AbstractEventLoop
) -> None:
    data = CHUNKED + b"3\r\nabc\r\n" + size + line_end + b"def\r\n0\r\n\r\n"
    for position in range(len(CHUNKED), len(data)):
        compare(data, [len(CHUNKED), position], loop)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_any_end_at_any_cut(end: bytes, line_end: bytes, loop: asyncio.AbstractEventLoop) -> None:
    data = CHUNKED + b"3\r\nabc" + line_end + end
    for position in range(len(CHUNKED), len(data)):
        compare(data, [len(CHUNKED), position], loop)
    compare(data, list(range(len(data))), loop)


HEADERS = (
    (b"transfer-encoding: chunked", True),
    (b"Transfer-Encoding: Chunked", True),
    (b"transfer-encoding: gzip, chunked", False),
    (b"transfer-encoding: chunked\r\ntransfer-encoding: chunked", False),
    (b"transfer-encoding: chunked, chunked", False),
    (b"transfer-encoding: xchunked", False),
    (b"transfer-encoding: chunked, identity", False),
    (b"transfer-encoding: chunked\r\ncontent-length: 3", False),
    (b"content-length: 3\r\ntransfer-encoding: chunked", False),
    (b"content-length: 8", True),
    (b"content-length: 3\r\ncontent-length: 3", False),
    (b"content-length: 3, 3", False),
    (b"content-length: +3", False),
    (b"content-length: 3_0", False),
    (b"content-length: 0", False),
    (b"content-length: 18446744073709551617", False),
    (b"upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 8", True),
    (b"connection: close", False),
)


@pytest.mark.parametrize(("header", "is_taken"), HEADERS)
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_which_bodies_are_decoded_here(
    header: bytes,
    is_taken: bool,
    version: bytes,
    line_end: bytes,
    loop: asyncio.AbstractEventLoop,
) -> None:
    head = (version + b" 200 OK\r\n" + header + b"\r\n\r\n").replace(b"\r\n", line_end)
    data = head + b"3\r\nabc\r\n0\r\n\r\n"
    taken = compare(data, [len(head), len(head) + 2], loop)
    if b"upgrade" in header and HttpResponseParser is HttpResponseParserPy:
        is_taken = False  # it takes any upgrade in earnest
    assert taken[0] == (is_taken and version == b"HTTP/1.1" and line_end == b"\r\n")
    compare(data, [], loop)
    compare(data, list(range(len(data))), loop)


SNIPPETS = (
    *SIZES,
    *LINE_ENDS,
    *ENDS,
    b"abc",
    b"3\r\nabc\r\n",
    b"a\r\n0123456789\r\n",
    b"data: x\n\n",
    b'3;a="b\\"c";d\r\nabc\r\n',
    b"3 ; a = b ;c\r\nabc\r\n",
    b"3;a=b \r\nabc\r\n",
    b"3;a=\r\nabc\r\n",
    b'3;a="b\r\nabc\r\n',
    b"3;a,b\r\nabc\r\n",
    b"3;=b\r\nabc\r\n",
    b"0\r\nA: b\r\n c\r\n\r\n",
    b"0\r\n A: b\r\n\r\n",
    b"0\r\nA: \x01\r\n\r\n",
    b"0\r\nA: \0\r\n\r\n",
    b"0\r\nA : b\r\n\r\n",
    b"0\r\nA\r\n\r\n",
)


@only_full
@settings(max_examples=4_000)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=8), st.lists(st.integers(0, 80), max_size=6))
def test_random_bodies(pieces: list[bytes], cuts: list[int]) -> None:
    _compare_once(pieces, cuts)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=8), st.lists(st.integers(0, 80), max_size=6))
def test_some_random_bodies(pieces: list[bytes], cuts: list[int]) -> None:
    _compare_once(pieces, cuts)


def _compare_once(pieces: list[bytes], cuts: list[int]) -> None:
    data = CHUNKED + b"".join(pieces)
    own = asyncio.new_event_loop()
    try:
        compare(data, [min(len(CHUNKED) + position, len(data)) for position in cuts], own)
    finally:
        own.close()
