"""Decompress a body piece by piece.

A compressed piece may unpack to a thousand times its size. Each step returns at most `PIECE_BYTES`
and keeps the rest compressed, so that memory stays bounded whatever the body unpacks to.
"""

from __future__ import annotations

import zlib

from rxagents.core.errors import StreamDecodeError

ACCEPTED = "gzip, deflate"
"""The value of `accept-encoding` (RFC 9110, section 12.5.3)."""

PIECE_BYTES = 32 * 1024

_GZIP = 16 + zlib.MAX_WBITS
_WINDOW = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class Decompressor:
    """Decompresses one body: `feed` it bytes, and `take` pieces until there are no more.

    Args:
        coding: The value of `content-encoding`, in lower case.

    Raises:
        StreamDecodeError: The coding is not in `ACCEPTED`.
    """

    def __init__(self, coding: str) -> None:
        if coding not in _WINDOW:
            raise StreamDecodeError(
                f"The body has the content encoding {coding[:50]!r}, and the request accepts only "
                f"{ACCEPTED}. Check base_url, and the proxies between this machine and the server."
            )
        self._coding = coding
        self._stream = zlib.decompressobj(_WINDOW[coding])
        self._begun = False
        self._pending = b""
        self._holds_more = False

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the body."""
        if not self._begun and data:
            self._begun = True
            if self._coding == "deflate" and data[0] & 15 != zlib.DEFLATED:
                # Some servers send raw deflate data, without the zlib header of "deflate".
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._pending += data

    def take(self) -> bytes:
        """Return the next decompressed piece; `b""` when more must be fed first.

        Raises:
            StreamDecodeError: The bytes are not valid in this coding.
        """
        while self._pending or self._holds_more:
            if self._stream.eof:  # a body may be several compressed streams, one after the other
                self._stream = zlib.decompressobj(_WINDOW[self._coding])
            try:
                piece = self._stream.decompress(self._pending, PIECE_BYTES)
            except zlib.error as error:
                raise StreamDecodeError(
                    f"The body is not valid {self._coding} ({error}), which is its content "
                    "encoding. Check the proxies between this machine and the server."
                ) from error
            self._pending = self._stream.unconsumed_tail or self._stream.unused_data
            self._holds_more = len(piece) == PIECE_BYTES
            if piece:
                return piece
        return b""

    @property
    def complete(self) -> bool:
        """Whether the body is complete if it ends here."""
        return self._stream.eof or not self._begun
