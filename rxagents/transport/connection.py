"""The protocol of a connection, and what it does otherwise than aiohttp's own."""

from __future__ import annotations

import asyncio
import re
import typing
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

READ_BYTES = 32 * 1024
"""The most that is read from a socket, or handed on, at once, so that what is made of it stays in
the processor's cache: a chunk of a burst read in one piece of 256 KiB costs about a sixth more."""

_TLS_RECORD = 16 * 1024
"""The most that a record of TLS holds, in bytes (RFC 8446, section 5.1)."""

_INTERIM = re.compile(rb"HTTP/\S+ +1(?!01)")
"""How an answer begins that another one follows (RFC 9110, section 15.2)."""


class StaleConnection(aiohttp.ServerDisconnectedError):
    """A connection that was kept from an earlier request was lost before a byte of the answer."""


class Listener(typing.Protocol):
    """Is told of what happens to a connection, as soon as it does."""

    def data_arrived(self) -> None:
        """Something of the body is there to read, or its end."""

    def connection_lost(self) -> None:
        """The connection is gone."""


class Connection(ResponseHandler, asyncio.BufferedProtocol):
    """The protocol of a connection: tells a listener, and tells when it is stale.

    It also takes in an answer's headers before its body: aiohttp's own drops what it has read
    of an answer when anything in the same packet is broken. It closes when something comes that
    nobody asked for, which aiohttp's own takes for the answer to the next request.

    And it reads into memory that is there. For a protocol without a buffer asyncio allocates
    256 KiB a read and gives back what was not needed, each a call of the system: with glibc a
    read of 370 bytes costs 17 us so, and 4 us into a buffer.

    Args:
        loop: The running loop.
        buffer: What is read into; connections of one loop may share it.

    Attributes:
        listener: Who is told; `None` for nobody.
    """

    __slots__ = ("_answers", "_buffer_of_burst", "_head", "_idle", "_in_headers", "_shared_buffer",
                 "_silent", "listener")  # fmt: skip

    def __init__(self, loop: Any, buffer: memoryview) -> None:
        super().__init__(loop)
        self.listener: Listener | None = None
        self._shared_buffer = buffer
        self._buffer_of_burst: memoryview | None = None
        self._answers = 0
        self._head = b""
        self._in_headers = False
        self._silent = False
        self._idle = False

    def set_response_params(self, **params: Any) -> None:
        """Begin an answer."""
        self._answers += 1
        self._in_headers = self._silent = True
        self._idle = False
        super().set_response_params(**params)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next packet goes, which the loop tells before it asks again.

        TLS tells the size of what waits, and drops what there was no room for when the server
        has closed the connection.
        """
        if sizehint <= READ_BYTES - _TLS_RECORD:
            return self._shared_buffer
        self._buffer_of_burst = memoryview(bytearray(sizehint + _TLS_RECORD))
        return self._buffer_of_burst

    def buffer_updated(self, nbytes: int) -> None:
        """Take in the packet that is there now."""
        buffer = self._shared_buffer
        if self._buffer_of_burst is not None:
            buffer, self._buffer_of_burst = self._buffer_of_burst, None
        self.data_received(bytes(buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take in a packet."""
        if self._idle and data:
            self._refuse()
            return
        if self._in_headers:
            self._silent = False
            data = self._take_head(data)
            if not data or self.exception() is not None:
                return
        super().data_received(data)
        if data and self.listener is not None:  # without data it is the reader who asks for more
            self.listener.data_arrived()

    def feed_data(
        self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0
    ) -> None:
        """Take in an answer, whose headers are complete."""
        if self._idle:
            self._refuse()
        else:
            super().feed_data(data, size)

    def _take_head(self, data: bytes) -> bytes:
        """Take in headers by themselves, also such as 100; return what follows them."""
        while data and self._in_headers and self.exception() is None:
            known = len(self._head)
            self._head += data
            blank_line = self._head.find(b"\r\n\r\n", max(known - 3, 0))
            end = blank_line + 4 - known if blank_line >= 0 else len(data)
            super().data_received(data[:end])
            data = data[end:]
            if blank_line >= 0:
                self._in_headers = _INTERIM.match(self._head) is not None
                self._head = b""
        if not self._in_headers and self._payload is not None:
            self._payload.on_eof(self._rest)
        return data

    def _rest(self) -> None:
        """The answer is over: nothing more is asked for."""
        self._idle = True

    def _refuse(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take in the end of the connection, after what had arrived while reading was stopped."""
        while self._reading_paused:
            self.resume_reading()
        super().connection_lost(exc)
        if self.listener is not None:
            self.listener.connection_lost()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on where reading was stopped; aiohttp's own does so after every read."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """End the answer."""
        lost = isinstance(exc, (aiohttp.ServerDisconnectedError, OSError))
        if lost and self._silent and self._answers > 1:
            exc = StaleConnection()
        super().set_exception(exc, *cause)
