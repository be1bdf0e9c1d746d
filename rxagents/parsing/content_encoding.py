"""Bodies that were compressed on the way, decompressed piece by piece.

A small piece of a body may stand for a thousand times its size: each step yields at most
`PIECE_BYTES`, so that the whole is never held, whatever its size.
"""

from __future__ import annotations

import zlib

from rxagents.core.errors import StreamDecodeError

ACCEPTED = "gzip, deflate"
"""The codings that are asked for (RFC 9110, 8.4.1)."""

PIECE_BYTES = 32 * 1024

_GZIP = 16 + zlib.MAX_WBITS
_WINDOW = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class Decompressor:
    """Decompresses one body; `feed` it, then take pieces until there are no more.

    Args:
        coding: The value of `content-encoding`.

    Raises:
        StreamDecodeError: The coding is not one that was asked for.
    """

    def __init__(self, coding: str) -> None:
        if coding not in _WINDOW:
            raise StreamDecodeError(
                f"The body is encoded as {coding[:50]!r}, which was not asked for. Check base_url "
                "and what stands between here and the server."
            )
        self._coding = coding
        self._stream = zlib.decompressobj(_WINDOW[coding])
        self._begun = False
        self._pending = b""
        self._holds_more = False

    def feed(self, data: bytes) -> None:
        """Take in the next bytes of the body."""
        if not self._begun and data:
            self._begun = True
            if self._coding == "deflate" and data[0] & 15 != zlib.DEFLATED:
                # Some servers leave out the zlib header that "deflate" stands for.
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._pending += data

    def take(self) -> bytes:
        """Return the next piece of what was fed; `b""` when there is no more.

        Raises:
            StreamDecodeError: The bytes are not of this coding.
        """
        while self._pending or self._holds_more:
            if self._stream.eof:  # a body may be several compressed streams, one after the other
                self._stream = zlib.decompressobj(_WINDOW[self._coding])
            try:
                piece = self._stream.decompress(self._pending, PIECE_BYTES)
            except zlib.error as error:
                raise StreamDecodeError(
                    f"The body is not what its encoding {self._coding!r} says ({error}). Check "
                    "what stands between here and the server."
                ) from error
            self._pending = self._stream.unconsumed_tail or self._stream.unused_data
            self._holds_more = len(piece) == PIECE_BYTES
            if piece:
                return piece
        return b""

    @property
    def complete(self) -> bool:
        """Whether the body may end here."""
        return self._stream.eof or not self._begun
