"""The answer to one request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
from multidict import CIMultiDictProxy

from rxagents.core.errors import (
    ProtocolError,
    ProviderError,
    TruncatedStreamError,
)
from rxagents.transport.connection import READ_BYTES, Connection
from rxagents.transport.failures import closed_session, words

LINGER_SECONDS = 0.1
"""How long an answer may take to end after its end marker, for its connection to be kept."""

HEAD_SECONDS = 5.0
"""How long the beginning of an error's body is waited for: its status is known already."""


class HttpResponse:
    """The answer to one request: status, headers, and a body to read.

    Whoever has one ends it with `finish` or `close`.

    Attributes:
        status: The HTTP status.
        reason: What stands beside it.
        headers: The headers.
        failure: Why the body ended; `None` if it ended as it should, or has not yet.
    """

    __slots__ = ("_closed", "_connection", "_content", "_drained", "_lingering", "_on_data",
                 "_provider", "_response", "_session", "failure", "headers", "reason",
                 "status")  # fmt: skip

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        provider: str,
        session: aiohttp.ClientSession,
        lingering: dict[HttpResponse, asyncio.AbstractEventLoop],
    ) -> None:
        self.status: int = response.status
        self.reason: str = response.reason or ""
        self.headers: CIMultiDictProxy[str] = response.headers
        self.failure: ProviderError | None = None
        self._response = response
        self._content = response.content
        self._provider = provider
        self._session = session
        self._lingering = lingering
        self._drained = False
        self._on_data: Callable[[], object] | None = None
        self._connection: Connection | None = None
        self._closed: asyncio.Future[None] | None = None
        self._watch()

    async def read(self) -> bytes:
        """Return the next bytes as soon as there are any; `b""` at the end.

        It does not raise: `failure` tells a `TruncatedStreamError` where the connection broke
        or the body is shorter than announced, a `ProtocolError` where its encoding is broken,
        and a `TransportError` where the session was closed.
        """
        try:
            return await self._content.read(READ_BYTES)
        except _BROKEN as error:
            return self._received_before(error)

    def read_nowait(self) -> bytes | None:
        """Return the next bytes as `read` does; `None` if none are there yet."""
        if self._drained:
            return None
        content = self._content
        try:
            data = content.read_nowait(READ_BYTES)
        except _BROKEN as error:
            return self._received_before(error)
        if content.is_eof():
            return data
        self._drained = len(data) < READ_BYTES
        return data or None

    def listen(self, on_data: Callable[[], object]) -> bool:
        """Call `on_data` whenever there is something to read, or the end.

        It spares each chunk the switch to a task.

        Returns:
            Whether it will be called: a session of the caller's own does not tell, and a body
            that is compressed is read piece by piece.
        """
        if self._connection is None and not self._content.is_eof():
            return False
        self._on_data = on_data
        return True

    def data_arrived(self) -> None:
        """Tell whoever listens."""
        self._drained = False
        if self._on_data is not None:
            self._on_data()

    def connection_lost(self, _: object = None) -> None:
        """Make sure that whoever reads hears of it.

        aiohttp does not tell where the body's encoding is broken, or the session closed.
        """
        content, connection = self._content, self._response.connection
        if not content.is_eof() and content.exception() is None:
            protocol = None if connection is None else connection.protocol
            broken = None if protocol is None else protocol.exception()
            content.set_exception(self._cause(broken))
        self.data_arrived()

    async def read_head(self, limit: int) -> bytes:
        """Return the beginning of the body, at most `limit` bytes, whatever becomes of the rest."""
        head = b""
        with contextlib.suppress(TimeoutError):  # what came until then is all there is to quote
            async with asyncio.timeout(HEAD_SECONDS):
                while len(head) < limit and (data := await self.read()):
                    head += data
        return head[:limit]

    def finish(self) -> None:
        """The answer is over: keep the connection if the body ends too, now or in a moment."""
        self._unwatch()
        content = self._content
        if content.is_eof():
            self._response.release()
            return
        loop = self._lingering[self] = asyncio.get_running_loop()
        timer = loop.call_later(LINGER_SECONDS, self.close)
        content.on_eof(timer.cancel)
        content.on_eof(self._linger_no_more)

    def close(self) -> None:
        """Close the connection at once."""
        self._unwatch()
        self._linger_no_more()
        self._response.close()

    def _linger_no_more(self) -> None:
        self._lingering.pop(self, None)

    def truncated(self, why: str) -> TruncatedStreamError:
        """Return the error of a body that broke off."""
        return TruncatedStreamError(
            f"The connection to {self._provider} broke in the middle of the stream ({why}). What "
            "came before was delivered; ask again for the rest.",
            provider=self._provider,
            retryable=True,
        )

    def _watch(self) -> None:
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        if protocol is None:
            return
        if isinstance(protocol, Connection):
            self._connection = protocol
            protocol.listener = self
            if protocol.transport is None:
                self.connection_lost()
            return
        closed = self._closed = protocol.closed
        if closed is None:
            self.connection_lost()
            return
        # The future may hold an exception, which someone has to look at: once a connection.
        closed.remove_done_callback(_look_at)
        closed.add_done_callback(_look_at)
        closed.add_done_callback(self.connection_lost)

    def _unwatch(self) -> None:
        self._on_data = None
        if self._connection is not None:
            if self._connection.listener is self:  # at its end the next answer may be over it
                self._connection.listener = None
            self._connection = None
        if self._closed is not None:
            self._closed.remove_done_callback(self.connection_lost)
            self._closed = None

    def _received_before(self, error: Exception) -> bytes:
        """Return what had arrived before an error: aiohttp raises first."""
        received = self._content._read_nowait(-1)  # noqa: SLF001 - no public way
        if not received:
            self.failure = self._typed(error)
        return received

    def _cause(self, error: BaseException | None) -> ProviderError:
        if isinstance(error, aiohttp.http.HttpProcessingError):
            return self._badly_encoded(error)
        if self._session.closed:
            return closed_session(self._provider)
        return self.truncated("it was closed")

    def _typed(self, error: Exception) -> ProviderError:
        if isinstance(error, ProviderError):
            return error
        broken = isinstance(error.__cause__, aiohttp.http_exceptions.TransferEncodingError)
        if broken and "Not enough data" not in str(error.__cause__):
            return self._badly_encoded(error)
        return self.truncated(words(error))

    def _badly_encoded(self, error: BaseException) -> ProtocolError:
        return ProtocolError(
            f"{self._provider} sent a body whose encoding is broken ({words(error)}). Check "
            "base_url and what stands between here and the server.",
            provider=self._provider,
            retryable=False,
        )


_BROKEN = (aiohttp.ClientError, OSError, RuntimeError, ProviderError)


def _look_at(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()
