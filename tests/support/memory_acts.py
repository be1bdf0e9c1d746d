"""Responses that try to fill the client's memory, made in little memory of the server."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from faults import chunk, head
from faulty_server import Act, Cue
from wires import SpokenWire

MEGABYTE = 10**6


def good(wire: SpokenWire) -> Act:
    body = wire.text("hi") + wire.finish() + wire.done()
    return [_head(wire) + chunk(body) + b"0\r\n\r\n"]


def _head(wire: SpokenWire, *headers: bytes) -> bytes:
    kind = b"content-type: " + wire.content_type
    return head(200, kind, b"transfer-encoding: chunked", *headers)


def _packed(block: bytes, size: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=31)
    blocks = [compressor.compress(block) for _ in range(size // len(block))]
    return b"".join([*blocks, compressor.flush()])


def _long_line(wire: SpokenWire) -> Act:
    start = wire.raw(b"[").rstrip()
    return [_head(wire) + chunk(start), *[chunk(b" " * 2**20)] * 64, b"0\r\n\r\n"]


def _packed_line(wire: SpokenWire) -> Act:
    packed = _packed(b" " * MEGABYTE, 200 * MEGABYTE)
    start = zlib.compressobj(wbits=31)
    first = start.compress(wire.raw(b"[").rstrip()) + start.flush()
    return [_head(wire, b"content-encoding: gzip") + chunk(first + packed) + b"0\r\n\r\n"]


def _packed_blanks(wire: SpokenWire) -> Act:
    packed = _packed(b"\n" * MEGABYTE, 200 * MEGABYTE)
    return [_head(wire, b"content-encoding: gzip") + chunk(packed) + b"0\r\n\r\n"]


def _packed_error(wire: SpokenWire) -> Act:
    packed = _packed(b"[" * MEGABYTE, 200 * MEGABYTE)
    length = b"content-length: %d" % len(packed)
    return [head(400, b"content-encoding: gzip", length) + packed]


def _endless_error(wire: SpokenWire) -> Act:
    return [head(400, b"transfer-encoding: chunked"), chunk(b"It broke. " * 10_000), Cue.REPEAT]


ACTS: dict[str, Callable[[SpokenWire], Act]] = {
    "a line of 64 MiB": _long_line,
    "a compressed line of 200 MB": _packed_line,
    "200 MB of blank lines, compressed": _packed_blanks,
    "an error that unpacks to 200 MB": _packed_error,
    "an error body without end": _endless_error,
}
