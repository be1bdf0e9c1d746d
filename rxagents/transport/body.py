"""Decode the body of a response in place of aiohttp's parser.

aiohttp's parser has read the headers and then waits for the body. `take_body` gives `Connection` a
`TakenBody`, which it also puts where aiohttp's parser was, so that aiohttp asks it when reading is
paused and when the connection closes.

It is given only where the body is simple: HTTP/1.1, one `transfer-encoding: chunked` or one
`content-length`, no upgrade. Compression does not matter here, because `auto_decompress` is off.
Everything else is read by aiohttp's parser.

A stream may be open for minutes, and a process may hold thousands of them. So what aiohttp needed
for the headers is not kept: the parser with its copies of all headers (2 KB), and the deques of its
`StreamReader` (760 bytes each, even if they are empty).
"""

from __future__ import annotations

from typing import Any

from aiohttp.http import HttpResponseParser, HttpVersion11, RawResponseMessage
from aiohttp.http_exceptions import ContentLengthError, TransferEncodingError
from aiohttp.streams import StreamReader

from rxagents.parsing.http_body import BodyDecoder, ChunkedDecoder, LengthDecoder

_LONGEST_LENGTH = 15
"""The most digits of a content-length that is read here."""


class TakenBody:
    """The body of one response, with the part of a parser's interface that aiohttp uses.

    Args:
        decoder: Decodes the body.
        reader: aiohttp's buffer of the body, from which `HttpResponse` reads what waits.
    """

    __slots__ = ("decoder", "reader")

    def __init__(self, decoder: BodyDecoder, reader: StreamReader) -> None:
        self.decoder = decoder
        self.reader = reader
        reader._buffer = _Pieces()  # type: ignore[assignment]  # noqa: SLF001 - has what is used

    def feed_data(self, data: bytes) -> tuple[tuple[()], bool, bytes]:
        """Fail if the decoder has failed; aiohttp then closes the connection.

        aiohttp also calls this without data when reading resumes.
        """
        if self.decoder.error and data:
            raise TransferEncodingError(self.decoder.error)
        return (), False, b""

    def feed_eof(self) -> None:
        """Fail if the body is not complete: the connection has closed."""
        if self.decoder.is_over:
            return
        if isinstance(self.decoder, LengthDecoder):
            raise ContentLengthError("Not enough data to satisfy content length header.")
        raise TransferEncodingError("Not enough data to satisfy transfer length header.")

    def pause_reading(self) -> None:
        """Do nothing: a packet is decoded whole, and `Connection` stops the socket."""


class ShortQueue(list[Any]):
    """A queue that is nearly always empty: 72 bytes, where an empty deque takes 760."""

    __slots__ = ()

    def popleft(self) -> Any:
        """Remove and return the first item."""
        return self.pop(0)


class _Pieces(ShortQueue):
    """The bytes that wait in a `StreamReader`, with short pieces joined so that they are few."""

    __slots__ = ()

    def append(self, piece: bytes) -> None:
        """Append bytes."""
        if self and len(self[-1]) < _SHORT_PIECE:
            self[-1] += piece
        else:
            super().append(piece)


_SHORT_PIECE = 1024


def take_body(message: RawResponseMessage, reader: object, parser: object) -> TakenBody | None:
    """Return what decodes the body of a response; `None` to leave it to aiohttp's parser.

    Args:
        message: The headers.
        reader: aiohttp's buffer of the body.
        parser: aiohttp's parser; it has read the headers, and no byte after them.
    """
    # The types are checked so that another version of aiohttp reads its bodies itself.
    if type(reader) is not StreamReader or not isinstance(parser, HttpResponseParser):
        return None
    if message.version != HttpVersion11 or message.upgrade or message.code < 200:
        return None
    if reader.is_eof():  # statuses 204 and 304 have no body, whatever their headers say
        return None
    codings = message.headers.getall("transfer-encoding", [])
    lengths = message.headers.getall("content-length", [])
    decoder: BodyDecoder
    if message.chunked and not lengths and [coding.lower() for coding in codings] == ["chunked"]:
        decoder = ChunkedDecoder()
    elif not codings and len(lengths) == 1 and _is_length(lengths[0]):
        decoder = LengthDecoder(int(lengths[0]))
    else:
        return None
    return TakenBody(decoder, reader)


def _is_length(text: str) -> bool:
    digits = text.isascii() and text.isdigit() and len(text) <= _LONGEST_LENGTH
    return digits and int(text) > 0
