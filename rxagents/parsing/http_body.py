"""Decodes the body of an HTTP response: chunked (RFC 9112, section 7.1), or of a known length.

Both decoders keep one contract. `feed` returns the body's bytes as they arrive, and sets `is_over`
when it has nothing more to decode. `done` then says whether the body is complete, and `rest` holds
the bytes that were not decoded.
"""

from __future__ import annotations

import functools
import re
from typing import Protocol

# Theory of operation of `ChunkedDecoder`
#
# It decodes the plain form only: a size of at most eight hex digits, CRLF, the data, CRLF; at the
# end `0`, CRLF, CRLF. It stops in front of a chunk whose first line is anything else: an extension,
# a trailer, white space, a bare LF, an invalid size. The caller gives `rest` to a full HTTP parser,
# which decides what is valid. Such a parser is in the same state at the beginning of each chunk, so
# it needs nothing of what came before. So nothing is accepted here that is refused there.
#
# - The data's CRLF is the one exception, since its chunk has begun: it is checked here. Without
#   `strict` a bare LF is accepted there, as aiohttp's parser does.
# - `_left` is the number of bytes that the current chunk still has, with the CRLF after its data;
#   0 in front of a chunk.
# - `_pending` is the beginning of a chunk's first line, at most 12 bytes, or of the end `0` CRLF
#   CRLF. Data is never held back.
# - Servers write an event, or a burst of them, as one chunk, and it arrives as one packet. `feed`
#   tests for that first; it costs a fifth of the loop.
# - `int` accepts signs, underscores and white space, which have been used to smuggle requests, so
#   the size is matched first. Sizes repeat: the cache makes a size cost a tenth.

_CRLF = b"\r\n"
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_BEGINNING = re.compile(rb"[0-9A-Fa-f]{1,8}\r?|0{1,8}\r\n\r?")
_LONGEST = 10
"""The most bytes of a chunk's first line, with its CRLF."""


class BodyDecoder(Protocol):
    """Decodes one body.

    Attributes:
        is_over: Nothing more is decoded here.
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
    """Decodes a chunked body without extensions and trailers.

    Args:
        strict: Whether a bare LF after a chunk's data is malformed.

    Attributes:
        is_over: The body has ended, is malformed, or goes on in a form that is not decoded here.
        done: The last chunk has come.
        rest: The bytes after the last chunk; or else from where nothing was decoded.
        error: Why the body is malformed; "" if it is not.
    """

    __slots__ = ("_left", "_pending", "_strict", "done", "error", "is_over", "rest")

    def __init__(self, *, strict: bool = True) -> None:
        self.is_over = False
        self.done = False
        self.rest = b""
        self.error = ""
        self._left = 0
        self._pending = b""
        self._strict = strict

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in `data`."""
        if not self._left and not self._pending:
            line_end = data.find(_CRLF, 0, _LONGEST)
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
            if left > 2:
                piece = data[position : position + left - 2]
                pieces.append(piece)
                position += len(piece)
                left -= len(piece)
            elif left:
                if data.startswith(_CRLF[-left:], position):
                    position, left = position + left, 0
                elif left == 2 and data[position:] == b"\r":
                    position, left = position + 1, 1
                elif left == 2 and data.startswith(b"\n", position) and not self._strict:
                    position, left = position + 1, 0
                else:
                    self._stop(data[position:], "Expected CRLF after a chunk's data")
                    break
            else:
                line_end = data.find(_CRLF, position, position + _LONGEST)
                left = _size(data[position:line_end]) if line_end > position else 0
                if left <= 0:
                    left = 0
                    self._on_other_line(data[position:])
                    break
                position, left = line_end + 2, left + 2
        self._left = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _on_other_line(self, data: bytes) -> None:
        """Handle the last chunk, a part of a line, and a line that is not plain."""
        if _BEGINNING.fullmatch(data):
            self._pending = data
            return
        line, _, rest = data[: _LONGEST + 2].partition(_CRLF)
        self.done = rest.startswith(_CRLF) and _size(line) == 0
        self._stop(data[len(line) + 4 :] if self.done else data)

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
