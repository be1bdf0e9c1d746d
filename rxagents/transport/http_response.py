"""Hold the response to one request: status, headers, and a body to read.

Theory of operation. Two ways lead to the body's bytes. `read` waits for them, like any stream. With
`listen`, the connection calls `body_arrived` for each packet, and the reader takes the bytes with
`read_nowait` in the same iteration of the loop. They pass through `_fresh` and not through the
buffer, `_content`, unless earlier ones wait there or the reader leaves them. The buffer stops the
socket when it is over its limit. `_is_drained` says that it is empty, which spares `read_nowait` a
look: it is set by a read that got less than it asked for, and reset by bytes that go into the
buffer. At the end of a body, and for a body that aiohttp's parser reads, the connection calls
`data_arrived` instead.

The rule for every end of a body: what arrived is delivered first, then `failure` says why the body
ended. aiohttp raises an error before it hands out the bytes that came before it, so
`_bytes_before` takes them out. And aiohttp does not end the body in two cases, where its encoding
is broken and where the session is closed: `connection_lost` does, or the reader would wait for
ever. It is called by our own `Connection`, or by the `closed` future of a connection of the
caller's session, which has no listener.

A response ends with `close`, which closes the connection, or with `finish`. After an end marker
such as `[DONE]` the rest of the body is often milliseconds away; `finish` waits `LINGER_SECONDS`
for it, so that the connection can serve the next request. `lingering` lists the responses that
wait, so that `Transport` can close them in `aclose` and at the end of their loop.

What must not change: `read_nowait` and `body_arrived` run for every packet, so add no call to
them. Once `finish` or `close` has run, the connection no longer calls this response: it may serve
another one by then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from rxagents.core.errors import ProtocolError, ProviderError, TruncatedStreamError
from rxagents.core.surrogates import replace_surrogates
from rxagents.transport.connection import READ_BYTES, Connection
from rxagents.transport.failures import closed_session_error, one_line, reason_of_cut

LINGER_SECONDS = 0.1
"""How long a body may take to end after its end marker, for its connection to be kept."""

HEAD_SECONDS = 5.0
"""How long to wait for the beginning of an error's body, whose status is known already."""


class HttpResponse:
    """The response to one request. Its owner ends it with `finish` or `close`.

    Args:
        response: aiohttp's response.
        provider: The provider's name, for errors.
        session: The session that sent the request.
        lingering: Holds the responses that wait for the end of their body, each with its loop.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        failure: Why the body ended; `None` if it is complete, or has not ended yet.
    """

    __slots__ = ("_closed", "_connection", "_content", "_fresh", "_is_drained", "_lingering",
                 "_on_data", "_provider", "_response", "_session", "failure", "headers",
                 "status")  # fmt: skip

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        provider: str,
        session: aiohttp.ClientSession,
        lingering: dict[HttpResponse, asyncio.AbstractEventLoop],
    ) -> None:
        self.status: int = response.status
        self.headers: CIMultiDictProxy[str] = response.headers
        self.failure: ProviderError | None = None
        self._response = response
        self._content = response.content
        self._provider = provider
        self._session = session
        self._lingering = lingering
        self._fresh = b""
        self._is_drained = False
        self._on_data: Callable[[], object] | None = None
        self._connection: Connection | None = None
        self._closed: asyncio.Future[None] | None = None
        self._listen_to_connection()

    @property
    def reason(self) -> str:
        """The reason phrase beside the status; a byte that is no UTF-8 is a question mark."""
        return replace_surrogates(self._response.reason or "")

    async def read(self) -> bytes:
        """Return the next bytes as soon as there are any; `b""` at the end.

        It does not raise. At the end `failure` is a `TruncatedStreamError` if the connection
        broke or the body is shorter than its length, a `ProtocolError` if its encoding is broken,
        and a `TransportError` if the session was closed.
        """
        try:
            return await self._content.read(READ_BYTES)
        except _BROKEN as error:
            return self._bytes_before(error)

    def read_nowait(self) -> bytes | None:
        """Return the next bytes as `read` does; `None` if none are there yet."""
        if self._fresh:
            data, self._fresh = self._fresh, b""
            return data
        if self._is_drained:
            return None
        content = self._content
        try:
            data = content.read_nowait(READ_BYTES)
        except _BROKEN as error:
            return self._bytes_before(error)
        if content.is_eof():
            return data
        self._is_drained = len(data) < READ_BYTES
        return data or None

    def listen(self, on_data: Callable[[], object]) -> bool:
        """Call `on_data` for each packet of the body, and at its end.

        Returns:
            Whether it will be called. It is not called on a session of the caller's own, whose
            connections have no listener, and not for a compressed body.
        """
        if self._connection is None and not self._content.is_eof():
            return False
        self._on_data = on_data
        return True

    def body_arrived(self, data: bytes) -> None:
        """Let the listener read `data` at once, or else keep it in the buffer."""
        if self._on_data is None or not self._is_drained:
            self._content.feed_data(data)
            self.data_arrived()
            return
        self._fresh = data
        self._on_data()
        if self._fresh:  # the listener is busy
            self._content.feed_data(self._fresh)
            self._fresh, self._is_drained = b"", False

    def data_arrived(self) -> None:
        """Call the listener: a packet has arrived, or the body has ended."""
        self._is_drained = False
        if self._on_data is not None:
            self._on_data()

    def connection_lost(self, _: object = None) -> None:
        """End the body, where aiohttp has not, and call the listener."""
        content, connection = self._content, self._response.connection
        if not content.is_eof() and content.exception() is None:
            protocol = None if connection is None else connection.protocol
            broken = None if protocol is None else protocol.exception()
            content.set_exception(self._error_of_loss(broken))
        self.data_arrived()

    async def read_head(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the body: all that arrive within `HEAD_SECONDS`."""
        head = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_SECONDS):
                while len(head) < limit and (data := await self.read()):
                    head += data
        return head[:limit]

    def finish(self) -> None:
        """Keep the connection if the body ends within `LINGER_SECONDS`, and else close it."""
        self._stop_listening()
        content = self._content
        if content.is_eof():
            self._response.release()
            return
        loop = self._lingering[self] = asyncio.get_running_loop()
        timer = loop.call_later(LINGER_SECONDS, self.close)
        content.on_eof(timer.cancel)
        content.on_eof(self._stop_lingering)

    def close(self) -> None:
        """Close the connection at once."""
        self._stop_listening()
        self._stop_lingering()
        self._response.close()

    def _stop_lingering(self) -> None:
        self._lingering.pop(self, None)

    def truncated(self, why: str) -> TruncatedStreamError:
        """Return the error of a body that ended too early."""
        return TruncatedStreamError(
            f"The stream from {self._provider} was cut off: {why}. All text that had arrived was "
            "delivered; send the request again.",
            provider=self._provider,
        )

    def _listen_to_connection(self) -> None:
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        if protocol is None:
            return
        if isinstance(protocol, Connection):
            self._connection = protocol
            protocol.listener = self
            # A stream may be open for minutes: 1.5 KB of headers that nobody reads any more.
            self._response._raw_headers = ()  # noqa: SLF001 - nothing public drops it
            self._response._request_info = _NO_REQUEST  # noqa: SLF001 - nor it
            if protocol.transport is None:
                self.connection_lost()
            return
        closed = self._closed = protocol.closed
        if closed is None:
            self.connection_lost()
            return
        # asyncio logs an exception that nobody retrieved: one callback a connection does.
        closed.remove_done_callback(_retrieve_exception)
        closed.add_done_callback(_retrieve_exception)
        closed.add_done_callback(self.connection_lost)

    def _stop_listening(self) -> None:
        self._on_data = None
        if self._connection is not None:
            if self._connection.listener is self:  # or else the next response is on it already
                self._connection.listener = None
            self._connection = None
        if self._closed is not None:
            self._closed.remove_done_callback(self.connection_lost)
            self._closed = None

    def _bytes_before(self, error: Exception) -> bytes:
        """Return the bytes that arrived before `error`; set `failure` when there are none left."""
        received = self._content._read_nowait(-1)  # noqa: SLF001 - no public way
        if not received:
            self.failure = self._error_of_read(error)
        return received

    def _error_of_loss(self, error: BaseException | None) -> ProviderError:
        """Return the error of a lost connection; `error` is its protocol's, if it has one."""
        if isinstance(error, aiohttp.http.HttpProcessingError):
            return self._badly_encoded(error)
        if self._session.closed:
            return closed_session_error(self._provider)
        return self.truncated("the connection was closed")

    def _error_of_read(self, error: Exception) -> ProviderError:
        if isinstance(error, ProviderError):
            return error
        # aiohttp raises the same class where the chunks are malformed and where one is missing. Its
        # pure Python parser raises it without a ClientPayloadError around it.
        cause = error if isinstance(error, aiohttp.http.HttpProcessingError) else error.__cause__
        is_encoding = isinstance(cause, aiohttp.http_exceptions.TransferEncodingError)
        if is_encoding and "Not enough data" not in str(cause):
            return self._badly_encoded(error)
        return self.truncated(reason_of_cut(error))

    def _badly_encoded(self, error: BaseException) -> ProtocolError:
        return ProtocolError(
            f"{self._provider} sent a body whose transfer encoding is broken ({one_line(error)}). "
            "Check base_url, and the proxies between this machine and the server.",
            provider=self._provider,
            retryable=False,
        )


_NO_REQUEST: Any = None

_BROKEN = (
    aiohttp.ClientError,
    aiohttp.http.HttpProcessingError,
    OSError,
    RuntimeError,
    ProviderError,
)


def _retrieve_exception(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()
