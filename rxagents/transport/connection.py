"""Handle one connection: aiohttp's protocol, with six differences.

Theory of operation. asyncio calls the protocol with each packet. aiohttp's parser takes the
headers, and `_body` the body, if it is a simple one; the body's bytes go to the listener. Those
that it has no use for yet wait in a `StreamReader` until `HttpResponse` reads them. A body that is
not simple goes through aiohttp's parser to the `StreamReader`.

1. A listener is called for each packet, so that a chunk needs no task switch. It is called as
   the last thing, when the packet is decoded.
2. Packets are read into a buffer that exists already. For a protocol without a buffer asyncio
   allocates 256 KiB for each read and frees the rest, each with a system call. With glibc a read of
   370 bytes costs 17 us that way, and 4 us with a buffer. A burst over TLS gets its own buffer,
   because TLS drops bytes that do not fit when the server has closed the connection.
3. The headers are parsed separately (`_is_in_headers`), before the body in the same packet: if the
   body's encoding is broken, aiohttp drops the whole packet, headers and all. They end where
   aiohttp's parser says so, which also accepts bare LF and empty lines before the status line.
4. Between two requests (`_is_idle`, from the end of a body to the next request) the server has
   nothing to send. aiohttp would mistake such bytes for the next response; here the connection
   closes.
5. A connection that is lost before a byte of the response (`_is_silent`), and that has served a
   request before, is stale: the server had closed it before it read the request. aiohttp reports
   that like any other lost connection.
6. A simple body is decoded here (`body.py`). aiohttp's parser calls Python three times for each
   HTTP chunk. A packet with one event costs 3.3 us here, and 3.9 us through the `StreamReader`.
   The parser is dropped then, with what it holds of the headers.

A connection that closes while reading is paused still holds bytes that arrived. `connection_lost`
parses them first, since they may be the end of a good answer. Those that the loop has not decrypted
yet are taken out of the TLS object (`_undecrypted`): uvloop 0.23 drops them.

What must not change: `buffer_updated` runs for every packet. Add no call to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import typing
from collections.abc import Iterator
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import BadHttpMessage

from rxagents.transport.body import ShortQueue, TakenBody, take_body

READ_BYTES = 32 * 1024
"""The most bytes that are read from a socket, or handed on, at once. What is made of so many stays
in the processor's cache: a chunk of a burst read in pieces of 256 KiB costs about a sixth more."""

_TLS_RECORD = 16 * 1024
"""The most bytes in a TLS record (RFC 8446, section 5.1)."""

_BARE_LF = re.compile(rb"(?<!\r)\n")
"""A line end at which aiohttp's parser may have seen the end of the headers earlier."""


class KeptConnectionLostError(aiohttp.ServerDisconnectedError):
    """A connection kept from an earlier request was lost before a byte of the response."""


class Listener(typing.Protocol):
    """Gets the events of a connection as soon as they happen."""

    def body_arrived(self, data: bytes) -> None:
        """Handle a packet: `data` is the next part of the body."""

    def data_arrived(self) -> None:
        """Handle a packet: the body's reader has more, or the body has ended."""

    def connection_lost(self) -> None:
        """Handle the loss of the connection."""


class Connection(ResponseHandler, asyncio.BufferedProtocol):
    """The protocol of one connection, which may serve many requests.

    Args:
        loop: The running loop.
        buffer: Packets are read into it; the connections of a loop may share it.

    Attributes:
        listener: Gets the events of the connection; `None` for nobody.
    """

    __slots__ = ("_body", "_buffer_of_burst", "_head", "_is_idle", "_is_in_headers", "_is_silent",
                 "_message", "_requests", "_shared_buffer", "listener")  # fmt: skip

    def __init__(self, loop: Any, buffer: memoryview) -> None:
        super().__init__(loop)
        self._buffer = ShortQueue()  # type: ignore[assignment]  # has what aiohttp uses of a deque
        self.listener: Listener | None = None
        self._shared_buffer = buffer
        self._buffer_of_burst: memoryview | None = None
        self._requests = 0
        self._message: RawResponseMessage | None = None  # with the headers that just ended
        self._body: TakenBody | None = None  # the body that is being received
        self._head = b""
        self._is_in_headers = False
        self._is_silent = False
        self._is_idle = False

    def set_response_params(self, **params: Any) -> None:
        """Expect the response to a new request."""
        self._requests += 1
        self._is_in_headers = self._is_silent = True
        self._is_idle = False
        self.listener = None  # an earlier response may be over, but not read to its end
        super().set_response_params(**params)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer of the next packet; the loop fills it before it asks again.

        Args:
            sizehint: The bytes that wait, over TLS; else -1.
        """
        if sizehint <= READ_BYTES - _TLS_RECORD:
            self._buffer_of_burst = None  # of a TLS record that was not whole
            return self._shared_buffer
        self._buffer_of_burst = memoryview(bytearray(sizehint + _TLS_RECORD))
        return self._buffer_of_burst

    def buffer_updated(self, nbytes: int) -> None:
        """Take the packet out of the buffer."""
        buffer = self._shared_buffer
        if self._buffer_of_burst is not None:
            buffer, self._buffer_of_burst = self._buffer_of_burst, None
        data = bytes(buffer[:nbytes])
        body = self._body
        if body is None:
            self.data_received(data)
            return
        piece = body.decoder.feed(data)
        if body.decoder.is_over:
            self._end_body(body, piece)
        elif piece:
            if self.listener is None:
                body.reader.feed_data(piece)
            else:
                self.listener.body_arrived(piece)

    def data_received(self, data: bytes) -> None:
        """Parse a packet; without data, parse what was left when reading was paused.

        uvloop gives every packet to this method: it fills no buffer of an `asyncio.Protocol`.
        """
        if self._body is not None and data:
            self.get_buffer(len(data))[: len(data)] = data
            self.buffer_updated(len(data))
            return
        if self._is_idle and data:
            self._close_unasked()
            return
        if self._is_in_headers:
            self._is_silent = False
            data = self._parse_headers(data)
            if not data or self.exception() is not None:
                return
            if self._is_idle:
                self._close_unasked()
                return
            if self._body is not None:
                self._body.reader.feed_data(self._body.decoder.feed(data))
                if self._body.decoder.is_over:
                    self._end_body(self._body, b"")
                return
        super().data_received(data)
        if data and self.listener is not None:  # without data the reader itself asked for more
            self.listener.data_arrived()

    def feed_data(
        self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0
    ) -> None:
        """Take a response whose headers are complete."""
        if self._is_idle:
            self._close_unasked()
        elif data[0].version.major > 2:
            self._refuse(f"Unknown version of HTTP: {data[0].version}")
        else:
            self._message = data[0]
            super().feed_data(data, size)

    def _parse_headers(self, data: bytes) -> bytes:
        """Parse the headers of the response, and of interim ones before it; return the rest."""
        while data and self._is_in_headers and self.exception() is None:
            known = len(self._head)
            if not known and not b"HTTP/".startswith(data.lstrip(b"\r\n")[:5]):
                # aiohttp's Python parser would wait for an empty line.
                self._refuse(f"Expected HTTP/1.1, but received {data[:20]!r}")
                return b""
            self._head += data
            blank_line = self._head.find(b"\r\n\r\n", max(known - 3, 0))
            end = blank_line + 4 - known if blank_line >= 0 else len(data)
            super().data_received(data[:end])
            data = data[end:]
            message, self._message = self._message, None
            if message is not None:
                self._is_in_headers = _is_interim(message)
                if blank_line >= 0 and not _BARE_LF.search(self._head, 0, blank_line):
                    self._body = take_body(message, self._payload, self._parser)
                    if self._body is not None:
                        self._parser = self._body  # type: ignore[assignment]  # what aiohttp uses
            if blank_line >= 0:
                self._head = b""
            elif message is not None:
                self._head = b"\n"  # `_BARE_LF` finds it: aiohttp's parser may be further on
        if not self._is_in_headers and self._payload is not None:
            self._payload.on_eof(self._become_idle)
        return data

    def _refuse(self, reason: str) -> None:
        """Fail a response that is not valid HTTP, and close the connection."""
        self.set_exception(BadHttpMessage(reason))
        self._close_unasked()

    def _end_body(self, body: TakenBody, piece: bytes) -> None:
        """End the body after `piece`, its last part."""
        self._body = None
        body.reader.feed_data(piece)
        if body.decoder.error:
            super().data_received(body.decoder.rest)
        else:
            if body.decoder.rest:
                self._close_unasked()
            body.reader.feed_eof()
        if self.listener is not None:
            self.listener.data_arrived()

    def _become_idle(self) -> None:
        self._is_idle = True

    def _close_unasked(self) -> None:
        """Close the connection, on which something came that no request asked for."""
        self.force_close()
        if self.transport is not None:
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Parse what had arrived while reading was paused, and then end the response."""
        self._parse_paused()
        for data in _undecrypted(self.transport):
            self.data_received(data)
            self._parse_paused()
        super().connection_lost(exc)
        self._body = None
        if self.listener is not None:
            self.listener.connection_lost()

    def _parse_paused(self) -> None:
        while self._reading_paused:
            self.resume_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Resume reading if it is paused; aiohttp's own does the work after every read."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Fail the response."""
        is_lost = isinstance(exc, (aiohttp.ServerDisconnectedError, OSError))
        if is_lost and self._is_silent and self._requests > 1:
            exc = KeptConnectionLostError()
        super().set_exception(exc, *cause)


def _is_interim(message: RawResponseMessage) -> bool:
    """Return whether the real response follows (RFC 9110, section 15.2)."""
    return message.code < 200 and message.code != 101


def _undecrypted(transport: asyncio.Transport | None) -> Iterator[bytes]:
    """Decrypt what the loop has received over TLS and not handed on; nothing without TLS."""
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    with contextlib.suppress(ssl.SSLError):  # there is no whole record any more
        while tls is not None and (data := tls.read(READ_BYTES)):
            yield data
