"""The answer to one request."""

from __future__ import annotations

import asyncio
import functools

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDictProxy

from rxagents.core.errors import (
    ProtocolError,
    ProviderError,
    StreamDecodeError,
    TruncatedStreamError,
)
from rxagents.parsing.content_encoding import Decompressor
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
    """

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
        self._response = response
        self._provider = provider
        self._session = session
        self._lingering = lingering
        self._coding = response.headers.get("content-encoding", "").strip().lower()
        if self._coding == "identity":
            self._coding = ""
        self._decompressor: Decompressor | None = None
        self._closed = self._watch()

    async def read(self) -> bytes:
        """Return the next bytes, decompressed, as soon as there are any; `b""` at the end.

        Raises:
            TruncatedStreamError: The connection broke, or the body is shorter than announced.
            ProtocolError: The body's transfer encoding is broken.
            StreamDecodeError: The body's compression is broken, or was not asked for.
            TransportError: The session was closed.
        """
        if not self._coding:
            return await self._read()
        try:
            return await self._read_compressed()
        except StreamDecodeError as error:
            error.provider = self._provider
            raise

    async def read_head(self, limit: int) -> bytes:
        """Return the beginning of the body, at most `limit` bytes, whatever becomes of the rest."""
        head = b""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                while len(head) < limit and (data := await self.read()):
                    head += data
        except (ProviderError, TimeoutError):
            """What came before is all there is to quote."""
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

    async def _read(self) -> bytes:
        content = self._response.content
        try:
            return await content.read(READ_BYTES)
        except (aiohttp.ClientError, OSError, RuntimeError, ProviderError) as error:
            # aiohttp raises before it hands over what it had received by then.
            received = content._read_nowait(-1)  # noqa: SLF001 - there is no public way
            failure = self._typed(error)
        if received:
            return received
        raise failure

    async def _read_compressed(self) -> bytes:
        if self._decompressor is None:
            self._decompressor = Decompressor(self._coding)
        while not (piece := self._decompressor.take()):
            data = await self._read()
            if not data and not self._decompressor.complete:
                raise self._truncated("its compressed body lacks its end")
            if not data:
                return b""
            self._decompressor.feed(data)
        await asyncio.sleep(0)  # a small piece of a body may hold very many of these
        return piece

    def _watch(self) -> asyncio.Future[None] | None:
        """Make sure that whoever reads hears of the connection's end.

        aiohttp does not tell it where the body's encoding is broken, or the session closed.
        """
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        if protocol is None:
            return None
        closed = protocol.closed
        if closed is None:
            self._on_closed(protocol)
            return None
        # The future may hold an exception, which someone has to look at: once a connection.
        closed.remove_done_callback(_look_at)
        closed.add_done_callback(_look_at)
        self._on_closed_callback = functools.partial(self._on_closed, protocol)
        closed.add_done_callback(self._on_closed_callback)
        return closed

    def _unwatch(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._on_closed_callback)
            self._closed = None

    def _on_closed(self, protocol: ResponseHandler, _: object = None) -> None:
        content = self._response.content
        if content.is_eof() or content.exception() is not None:
            return
        broken = protocol.exception()
        if isinstance(broken, aiohttp.http.HttpProcessingError):
            content.set_exception(self._badly_encoded(broken))
        elif self._session.closed:
            content.set_exception(closed_session(self._provider))
        else:
            content.set_exception(self._truncated("it was closed"))

    def _typed(self, error: Exception) -> ProviderError:
        if isinstance(error, ProviderError):
            return error
        broken = isinstance(error.__cause__, aiohttp.http_exceptions.TransferEncodingError)
        if broken and "Not enough data" not in str(error.__cause__):
            return self._badly_encoded(error)
        return self._truncated(words(error))

    def _badly_encoded(self, error: BaseException) -> ProtocolError:
        return ProtocolError(
            f"{self._provider} sent a body whose encoding is broken ({words(error)}). Check "
            "base_url and what stands between here and the server.",
            provider=self._provider,
            retryable=False,
        )

    def _truncated(self, why: str) -> TruncatedStreamError:
        return TruncatedStreamError(
            f"The connection to {self._provider} broke in the middle of the stream ({why}). What "
            "came before was delivered; ask again for the rest.",
            provider=self._provider,
            retryable=True,
        )


def _look_at(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()
