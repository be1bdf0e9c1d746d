"""Test how the benchmark of the gateway sees that a client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from benchmarks.gateway_leaving import leaving_times
from benchmarks.gateway_servers import Gateway


class _Proxy:
    """A gateway that closes the provider's connection with the client's, or never."""

    def __init__(self, *, closes: bool) -> None:
        self.clients = 0
        self.kept: list[asyncio.StreamWriter] = []
        self._closes = closes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients += 1
        await reader.readuntil(b"\r\n\r\n")
        await self._ask_twice()
        provider = self.kept.pop()
        while await reader.read(1000):
            pass
        writer.close()
        if self._closes:
            provider.close()
        else:
            self.kept.append(provider)

    async def _ask_twice(self) -> None:
        """Ask the provider, close the connection, and ask again, as a retry does."""
        for is_again in (False, True):
            _, provider = await asyncio.open_connection(*self.provider)
            provider.write(b"POST / HTTP/1.1\r\n\r\n")
            if not is_again:
                await provider.drain()
                provider.close()
            else:
                self.kept.append(provider)

    @contextmanager
    def start(self, port: int, provider: str) -> Iterator[Gateway]:
        self.provider = urlsplit(provider).netloc.split(":")
        yield Gateway(f"http://127.0.0.1:{port}", 0)


async def times_of(proxy: _Proxy) -> list[float]:
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        times = await leaving_times(lambda url: proxy.start(port, url), "chat", False, 8)
    for each in proxy.kept:
        each.close()
        await each.wait_closed()
    return times


async def test_time_until_provider_sees_close() -> None:
    proxy = _Proxy(closes=True)
    times = await times_of(proxy)
    assert (len(times), proxy.clients) == (8, 9)
    assert 0 <= min(times) <= max(times) < 5_000


async def test_close_that_is_never_seen_ends_early() -> None:
    proxy = _Proxy(closes=False)
    assert await times_of(proxy) == pytest.approx([5_000.0] * 2)
    assert proxy.clients == 3
