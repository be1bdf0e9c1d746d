"""Read a response whose body is compressed.

Why not aiohttp's own decompression (`auto_decompress`, tried with aiohttp 3.14.5): aiohttp
decompresses when a packet arrives, this module when a piece is read. While the consumer has
enough, aiohttp keeps some 128 KiB of text, and the rest of the packet compressed. But when the
connection closes, that rest must be decompressed at once or it is lost, and it may unpack to a
thousand times its size. `Connection.connection_lost` may not drop it: a server may close right
after the last byte of a good answer. Measured with bodies that unpack to 200 MB and 1 GB, and a
reader that stopped: the process grew by 71 to 79 MiB when the server closed the connection over
TLS; when the stream was disposed, by 112 MiB over TLS and 30 MiB without. With this module it grew
by 3 MiB at most. `tests/http/test_memory.py` has that flood.

The rest came out well, or could have been made to: text before a broken body was delivered.
`x-gzip`, which is gzip (RFC 9110, section 8.4.1.3), was passed on compressed. `br` ended in a
ProtocolError, and would be decompressed where a package for it is installed. A gzip body without
its end would go unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from rxagents.core.errors import StreamDecodeError
from rxagents.parsing.content_encoding import Decompressor
from rxagents.transport.http_response import HttpResponse


class CompressedResponse(HttpResponse):
    """An HTTP response that decompresses its body piece by piece.

    Args:
        coding: The value of `content-encoding`.
        response: As for `HttpResponse`, like the arguments after it.
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
        """Return False: a packet may hold very many pieces, and other tasks must run between."""
        return False

    async def read(self) -> bytes:
        """Return the next bytes, decompressed; `failure` may be a `StreamDecodeError` too."""
        try:
            return await self._read_decompressed()
        except StreamDecodeError as error:
            error.provider = self._provider
            self.failure = error
            return b""

    async def _read_decompressed(self) -> bytes:
        if self._decompressor is None:
            self._decompressor = Decompressor(self._coding)
        while not (piece := self._decompressor.take()):
            data = await super().read()
            if not data:
                if self.failure is None and not self._decompressor.complete:
                    self.failure = self.truncated("its compressed body has no end")
                return b""
            self._decompressor.feed(data)
        await asyncio.sleep(0)  # a packet may hold very many pieces
        return piece
