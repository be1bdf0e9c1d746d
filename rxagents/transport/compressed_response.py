"""An answer whose body is compressed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from rxagents.core.errors import StreamDecodeError
from rxagents.parsing.content_encoding import Decompressor
from rxagents.transport.http_response import HttpResponse


class CompressedResponse(HttpResponse):
    """An exchange that decompresses what it reads.

    Args:
        coding: The value of `content-encoding`.
        response: As for `HttpResponse`, like all that follows.
    """

    __slots__ = ("_coding", "_decompressor")

    def __init__(
        self,
        coding: str,
        response: aiohttp.ClientResponse,
        provider: str,
        session: aiohttp.ClientSession,
        lingering: dict[HttpResponse, asyncio.AbstractEventLoop],
    ) -> None:
        super().__init__(response, provider, session, lingering)
        self._coding = coding
        self._decompressor: Decompressor | None = None

    def listen(self, on_data: Callable[[], object]) -> bool:
        """Decline: what arrives at once may be very much, and is read piece by piece."""
        return False

    async def read(self) -> bytes:
        """Return the next bytes, decompressed; `failure` may be a `StreamDecodeError` too."""
        try:
            return await self._decompressed()
        except StreamDecodeError as error:
            error.provider = self._provider
            self.failure = error
            return b""

    async def _decompressed(self) -> bytes:
        if self._decompressor is None:
            self._decompressor = Decompressor(self._coding)
        while not (piece := self._decompressor.take()):
            data = await super().read()
            if not data:
                if self.failure is None and not self._decompressor.complete:
                    self.failure = self.truncated("its compressed body lacks its end")
                return b""
            self._decompressor.feed(data)
        await asyncio.sleep(0)  # a small piece of a body may hold very many of these
        return piece
