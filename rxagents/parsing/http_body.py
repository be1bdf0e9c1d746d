"""Decodes the body of an HTTP response: chunked (RFC 9112, section 7.1), or of a known length.

Both decoders keep one contract. `feed` returns the body's bytes as they arrive, and sets `is_over`
at the end of the body, or where it is malformed. `done` then says whether the body is complete, and
`rest` holds the bytes that were not decoded.
"""

from __future__ import annotations

import functools
import re
from typing import Protocol

# Theory of operation of `ChunkedDecoder`
#
# It decodes the whole of RFC 9112, section 7.1, and refuses everything else. So the result depends
# neither on how the packets are cut nor on the parser that aiohttp was built with: its C parser and
# its Python parser differ from each other, and both accept bare LF. h11, which the providers' own
# clients use, is as strict about the line ends of chunks (0.16; it accepts bare LF in trailers).
# One thing more is accepted: white space after a size, because some servers pad it; both parsers
# and h11 accept that too. Extensions and trailers are checked and dropped.
# `tests/parsing/test_http_body.py` lists what is refused and accepted.
#
# - `_left` is the number of bytes that the current chunk still has, with the CRLF after its data;
#   0 in front of a chunk; `_IN_TRAILERS` after the last chunk.
# - `_pending` is the beginning of a line. Data is never held back.
# - Servers write an event, or a burst of them, as one chunk, and it arrives as one packet. `feed`
#   tests for that first; it costs a fifth of the loop. Others write each event as a chunk, and many
#   arrive at once, so the loop takes a whole chunk in one turn.
# - `int` accepts signs, underscores and white space, which have been used to smuggle requests, so
#   the size is matched first. Sizes repeat: the cache makes a size cost a tenth.
# - The beginning of a line is checked as soon as it arrives: a line may never end.

_CRLF = b"\r\n"
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LONGEST_SIZE = 10
"""The most bytes of a plain first line, with its CRLF; other lines take a slower way."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_LINE = (
    rb"0*([0-9A-Fa-f]{1,16})"
    rb"(?:(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)+|[ \t]*)" % (_TOKEN, _TOKEN, _QUOTED)
)
"""A chunk's first line: a size below 2**64, and extensions. `re` compiles this expression and the
next ones when they are needed, which takes 0.7 ms; most bodies need none of them."""

_BEGINNING = rb"[0-9A-Fa-f]+[ \t]*(?:;[\t -~\x80-\xff]*)?(?:\r\n?)?"
"""The beginning of such a line; only `_LINE` checks the extensions."""

_TRAILER = rb"%b:[^\x00\r\n]*(?:\r\n?)?|%b|\r\n?" % (_TOKEN, _TOKEN)
"""A line of the trailers, or its beginning."""

_LATER_TRAILER = _TRAILER + rb"|[ \t][^\x00\r\n]*(?:\r\n?)?"
"""Any line but the first may continue the line before (RFC 9112, section 5.2)."""

_LONGEST_LINE = 8190
_MOST_TRAILERS = 128
"""Both are aiohttp's limits of the headers."""

_IN_TRAILERS = -1


class BodyDecoder(Protocol):
    """Decodes one body.

    Attributes:
        is_over: The body has ended, or is malformed.
        done: The body is complete.
        rest: The bytes that were not decoded.
        error: Why the body is malformed; "" if it is not.
    """

    is_over: bool
    done: bool
    rest: bytes
    error: str

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in `data`."""


class ChunkedDecoder:
    """Decodes a chunked body.

    Attributes:
        is_over: The body has ended, or is malformed.
        done: The body has ended.
        rest: The bytes after the body; of a malformed one those that were not decoded.
        error: Why the body is malformed; "" if it is not.
    """

    __slots__ = ("_left", "_pending", "_trailers", "done", "error", "is_over", "rest")

    def __init__(self) -> None:
        self.is_over = False
        self.done = False
        self.rest = b""
        self.error = ""
        self._left = 0
        self._pending = b""
        self._trailers = 0

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in `data`."""
        if not self._left and not self._pending:
            line_end = data.find(_CRLF, 0, _LONGEST_SIZE)
            if line_end > 0 and data.endswith(_CRLF):
                size = _size(data[:line_end])
                if size > 0 and size + line_end + 4 == len(data):
                    return data[line_end + 2 : -2]
        if self._pending:
            data, self._pending = self._pending + data, b""
        return self._decode(data)

    def _decode(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        position, left, size = 0, self._left, len(data)
        while position < size:
            if not left:
                line_end = data.find(_CRLF, position, position + _LONGEST_SIZE)
                length = _size(data[position:line_end]) if line_end > position else -1
                end = line_end + 2 + length
                if length > 0 and data.startswith(_CRLF, end):
                    pieces.append(data[line_end + 2 : end])
                    position = end + 2
                    continue
                if length < 0:
                    line_end, length = self._on_other_line(data, position)
                    if length < 0:
                        break
                position, left = line_end + 2, length + 2 if length else _IN_TRAILERS
            elif left > 2:
                piece = data[position : position + left - 2]
                pieces.append(piece)
                position += len(piece)
                left -= len(piece)
            elif left > 0:
                if data.startswith(_CRLF[-left:], position):
                    position, left = position + left, 0
                elif left == 2 and data[position:] == b"\r":
                    position, left = position + 1, 1
                else:
                    self._stop(data[position:], "Expected CRLF after a chunk's data")
                    break
            else:
                position = self._on_trailer(data, position)
                if position < 0:
                    break
        self._left = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _on_other_line(self, data: bytes, position: int) -> tuple[int, int]:
        """Return the end of a chunk's first line, and the size in it; -1 to stop."""
        line_end = self._line_end(data, position, _BEGINNING)
        if line_end < 0:
            return -1, -1
        line = re.fullmatch(_LINE, data[position:line_end])
        if line is None:
            self._stop(data[position:], "Invalid size or extension of a chunk")
            return -1, -1
        return line_end, int(line[1], 16)

    def _on_trailer(self, data: bytes, position: int) -> int:
        """Handle a line after the last chunk; return where the next one begins, -1 to stop."""
        if data.startswith(_CRLF, position):
            self.done = True
            self._stop(data[position + 2 :])
            return -1
        expected = _LATER_TRAILER if self._trailers else _TRAILER
        line_end = self._line_end(data, position, expected)
        self._trailers += line_end >= 0
        if self._trailers > _MOST_TRAILERS:
            self._stop(data[position:], f"More than {_MOST_TRAILERS} trailers")
            return -1
        return line_end + 2 if line_end >= 0 else -1

    def _line_end(self, data: bytes, position: int, expected: bytes) -> int:
        """Return where a line's CRLF is; -1 if it is not there yet, or the line is malformed."""
        line_feed = data.find(b"\n", position, position + _LONGEST_LINE)
        if line_feed < 0 and len(data) - position >= _LONGEST_LINE:
            self._stop(data[position:], f"A line of more than {_LONGEST_LINE} bytes between chunks")
        elif not re.fullmatch(expected, data[position : line_feed + 1 if line_feed >= 0 else None]):
            self._stop(data[position:], "Invalid line in front of a chunk, or after the last one")
        elif line_feed >= 0:
            return line_feed - 1
        else:
            self._pending = data[position:]
        return -1

    def _stop(self, rest: bytes, error: str = "") -> None:
        self.is_over = True
        self.rest = rest
        self.error = error


class LengthDecoder:
    """Decodes a body of a known length.

    Args:
        length: The length in bytes; at least 1.

    Attributes:
        is_over: The body has ended.
        done: The body has ended.
        rest: The bytes after it.
        error: Always "".
    """

    __slots__ = ("_left", "done", "error", "is_over", "rest")

    def __init__(self, length: int) -> None:
        self.is_over = False
        self.done = False
        self.rest = b""
        self.error = ""
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in `data`."""
        left = self._left = self._left - len(data)
        if left > 0:
            return data
        self.is_over = self.done = True
        if not left:
            return data
        self.rest = data[left:]
        return data[:left]


@functools.lru_cache(maxsize=4096)
def _size(line: bytes) -> int:
    """Return the size that a chunk's first line gives; -1 if the line is not plain."""
    return int(line, 16) if _SIZE.fullmatch(line) else -1
