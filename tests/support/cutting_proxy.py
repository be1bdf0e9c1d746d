"""A TCP proxy that cuts the responses of some requests after a number of bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class CuttingProxy:
    """Passes connections on to a server, and cuts those whose request contains a text.

    Args:
        url: The URL of the server.
        of: The text, such as a part of the path. Each connection that has it is cut once.
        after: After how many bytes of its response each such connection is cut, in order; the
            connections after the last of them are not cut.

    Attributes:
        target: The URL of the server; it may change.
        url: The URL of the proxy.
        cuts: How many connections it has cut.
    """

    def __init__(self, url: str, of: bytes, after: Iterable[int]) -> None:
        self.target = url
        self._of = of
        self._after = iter(after)
        self.url = ""
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        target = urlsplit(self.target)
        try:
            server_reader, server_writer = await asyncio.open_connection(
                target.hostname, target.port
            )
        except OSError:
            writer.close()  # the server is gone
            return
        left: list[int] = []  # how many bytes may still pass, once the request is known

        async def send_on() -> None:
            while data := await reader.read(65536):
                if self._of in data:
                    left[:] = [next(self._after, -1)]
                server_writer.write(data)

        async def send_back() -> None:
            while data := await server_reader.read(65536):
                if left and 0 <= left[0] <= len(data):
                    writer.write(data[: left[0]])
                    self.cuts += 1
                    return
                if left and left[0] > 0:
                    left[0] -= len(data)
                writer.write(data)

        both = [asyncio.ensure_future(send_on()), asyncio.ensure_future(send_back())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()  # first: the next line may be cancelled
            server_writer.close()
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)


@asynccontextmanager
async def cutting_proxy(
    url: str, *, of: bytes, after: Iterable[int]
) -> AsyncIterator[CuttingProxy]:
    """Run a `CuttingProxy` while the block runs."""
    proxy = CuttingProxy(url, of, after)
    running: set[asyncio.Task[None]] = set()

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(proxy.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    proxy.url = f"http://{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
