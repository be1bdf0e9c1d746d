"""Read a response whose body is compressed.

Why not aiohttp's own decompression (`auto_decompress`, tried with aiohttp 3.14.5): aiohttp
decompresses when a packet arrives, this module when a piece is read. While more than some 128 KiB
of text wait to be read, aiohttp keeps the rest of the packet compressed. When the connection
closes then, that rest is lost or must be decompressed at once. Both were measured over TLS, where
a server's close is noticed while reading is paused:

- On a session of the caller's own, aiohttp's protocol loses it. Of a good answer with 5,000
  events, 14 KB compressed, 1,319 reached a slow reader, and then a `TruncatedStreamError`.
- On our sessions `Connection.connection_lost` keeps it, and it may unpack to a thousand times its
  size. With bodies of blank lines that unpack to 200 MB and 1 GB, read as here with a turn of the
  loop after each piece, the process grew by 71 to 79 MiB when the server closed the connection in
  the middle, and by 112 MiB when the stream was disposed (30 MiB without TLS). Without these turns
  no other task runs until the whole packet is parsed.

With this module all events arrive, and the process grows by 3 MiB at most; `test_tls.py` and
`test_memory.py` in `tests/http/` check both.

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
