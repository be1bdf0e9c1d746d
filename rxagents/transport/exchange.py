"""The answer to one request."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDictProxy

from rxagents.core.errors import (
    ProtocolError,
    ProviderError,
    TruncatedStreamError,
)
from rxagents.transport.failures import closed_session, words

READ_BYTES = 32 * 1024
"""The most that is handed on at once, so that what is made of it stays in the processor's cache:
a chunk of a burst read in one piece of 256 KiB costs about a sixth more."""

LINGER_SECONDS = 0.1
"""How long an answer may take to end after its end marker, for its connection to be kept."""

HEAD_SECONDS = 5.0
"""How long the beginning of an error's body is waited for: its status is known already."""


class Exchange:
    """The answer to one request: status, headers, and a body to read.

    Whoever has one ends it with `finish` or `close`.

    Attributes:
        status: The HTTP status.
        reason: What stands beside it.
        headers: The headers.
        failure: Why the body ended; `None` if it ended as it should, or has not yet.
    """

    __slots__ = ("_closed", "_lingering", "_provider", "_response", "_session", "failure",
                 "headers", "reason", "status")  # fmt: skip

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        provider: str,
        session: aiohttp.ClientSession,
        lingering: set[Exchange],
    ) -> None:
        self.status: int = response.status
        self.reason: str = response.reason or ""
        self.headers: CIMultiDictProxy[str] = response.headers
        self.failure: ProviderError | None = None
        self._response = response
        self._provider = provider
        self._session = session
        self._lingering = lingering
        self._closed = self._watch()

    async def read(self) -> bytes:
        """Return the next bytes as soon as there are any; `b""` at the end.

        It does not raise: `failure` tells a `TruncatedStreamError` where the connection broke
        or the body is shorter than announced, a `ProtocolError` where its encoding is broken,
        and a `TransportError` where the session was closed.
        """
        content = self._response.content
        try:
            return await content.read(READ_BYTES)
        except (aiohttp.ClientError, OSError, RuntimeError, ProviderError) as error:
            # aiohttp raises before it hands over what it had received by then.
            received = content._read_nowait(-1)  # noqa: SLF001 - there is no public way
            if not received:
                self.failure = self._typed(error)
            return received

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
        content = self._response.content
        if content.is_eof():
            self._response.release()
            return
        self._lingering.add(self)
        timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.close)
        content.on_eof(timer.cancel)
        content.on_eof(lambda: self._lingering.discard(self))

    def close(self) -> None:
        """Close the connection at once."""
        self._unwatch()
        self._lingering.discard(self)
        self._response.close()

    def truncated(self, why: str) -> TruncatedStreamError:
        """Return the error of a body that broke off."""
        return TruncatedStreamError(
            f"The connection to {self._provider} broke in the middle of the stream ({why}). What "
            "came before was delivered; ask again for the rest.",
            provider=self._provider,
            retryable=True,
        )

    def _watch(self) -> asyncio.Future[None] | None:
        """Make sure that whoever reads hears of the connection's end.

        aiohttp does not tell it where the body's encoding is broken, or the session closed.
        """
        protocol = self._protocol()
        if protocol is None:
            return None
        closed = protocol.closed
        if closed is None:
            self._on_closed()
            return None
        # The future may hold an exception, which someone has to look at: once a connection.
        closed.remove_done_callback(_look_at)
        closed.add_done_callback(_look_at)
        closed.add_done_callback(self._on_closed)
        return closed

    def _unwatch(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._on_closed)
            self._closed = None

    def _protocol(self) -> ResponseHandler | None:
        connection = self._response.connection
        return None if connection is None else connection.protocol

    def _on_closed(self, _: object = None) -> None:
        content, protocol = self._response.content, self._protocol()
        if content.is_eof() or content.exception() is not None:
            return
        broken = None if protocol is None else protocol.exception()
        if isinstance(broken, aiohttp.http.HttpProcessingError):
            content.set_exception(self._badly_encoded(broken))
        elif self._session.closed:
            content.set_exception(closed_session(self._provider))
        else:
            content.set_exception(self.truncated("it was closed"))

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


def _look_at(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()
