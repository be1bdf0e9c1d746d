"""Measure what clients cost a gateway that leave, or that do not read; for `gateway`."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.gateway_client import Receiver, Work, request_maker
from benchmarks.gateway_servers import Gateway
from benchmarks.paced_server import FIRST_FRAME, HEAD, frame_of

_PATIENCE = 5.0
"""Seconds to wait until the provider sees the close; if it does not, the time counts as these."""

_UNSEEN = 3
"""Clients whose close is not seen, after which no more are tried."""

_CHUNK = frame_of({"content": " ~~~~"})
_BURST = 16 * _CHUNK
_BURST_SECONDS = 0.016


class _Provider(asyncio.Protocol):
    """One connection of a provider in this process, which notes when it is closed.

    Args:
        opened: Gets each connection with its request.
        chunk: What it sends: once for each request, or without an end.
        is_endless: Whether it sends 1,000 chunks a second, while the gateway reads.
    """

    def __init__(self, opened: asyncio.Queue[_Provider], chunk: bytes, is_endless: bool) -> None:
        self.closed_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.sent = 0
        self._opened = opened
        self._chunk = chunk
        self._is_endless = is_endless
        self._is_paused = self._has_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        assert isinstance(transport, asyncio.Transport), "it is a TCP connection"
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        """Answer the first request."""
        if self._has_begun:
            return
        self._has_begun = True
        self._opened.put_nowait(self)
        self._transport.write(HEAD + self._chunk)
        if self._is_endless:
            self._go_on()

    def pause_writing(self) -> None:
        """Wait for the gateway."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Send on."""
        self._is_paused = False

    def connection_lost(self, _: Exception | None) -> None:
        """Note the time."""
        if not self.closed_at.done():
            self.closed_at.set_result(time.monotonic())

    def _go_on(self) -> None:
        if self._transport.is_closing():
            return
        if not self._is_paused:
            self._transport.write(_BURST)
            self.sent += 16
        asyncio.get_running_loop().call_later(_BURST_SECONDS, self._go_on)


@asynccontextmanager
async def _serving(
    chunk: bytes, *, is_endless: bool
) -> AsyncIterator[tuple[str, asyncio.Queue[_Provider]]]:
    """Run a provider; yield its URL and its connections."""
    opened: asyncio.Queue[_Provider] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    make = partial(_Provider, opened, chunk, is_endless)
    async with await loop.create_server(make, "127.0.0.1", 0, backlog=1024) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", opened


Start = Callable[[str], AbstractContextManager[Gateway]]


async def leaving_times(start: Start, endpoint: str, has_begun: bool, clients: int) -> list[float]:
    """Return the ms between each client's close and the provider's seeing it, in order of size.

    Args:
        start: Starts the gateway.
        endpoint: One of `ENDPOINTS`.
        has_begun: Whether the client has had a token before.
        clients: How many clients, one after the other.
    """
    times: list[float] = []
    unseen = 0
    chunk = FIRST_FRAME + _CHUNK if has_begun else b""
    async with _serving(chunk, is_endless=False) as (url, opened):
        with start(url) as gateway:
            host, _, port = urlsplit(gateway.url).netloc.partition(":")
            make = request_maker(gateway.url, Work(endpoint, 1))
            for number in range(clients + 1):
                _newest(opened)  # what the gateway has opened for the last client, and not used
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(make(number))
                provider = await asyncio.wait_for(opened.get(), 60)
                if has_begun:
                    await reader.readuntil(b"~~~~")
                await asyncio.sleep(0.01)
                provider = _newest(opened) or provider
                left_at = time.monotonic()
                writer.close()
                try:
                    closed_at = await asyncio.wait_for(provider.closed_at, _PATIENCE)
                except TimeoutError:
                    closed_at = left_at + _PATIENCE
                    unseen += 1
                times.append((closed_at - left_at) * 1e3)
                if unseen == _UNSEEN:
                    break
    return sorted(times[1:])  # the first imports modules


def _newest(opened: asyncio.Queue[_Provider]) -> _Provider | None:
    """Empty the queue; return the last connection in it."""
    newest = None
    while not opened.empty():
        newest = opened.get_nowait()
    return newest


async def memory_of_stalled(
    start: Start, endpoint: str, clients: int, seconds: float
) -> tuple[float, float, float, float]:
    """Return KiB a client, and chunks a client.

    The KiB are the growth of the gateway's process after a third of the time, after two thirds, and
    at the end; the chunks are those that the provider could send.
    """
    loop = asyncio.get_running_loop()
    async with _serving(FIRST_FRAME, is_endless=True) as (url, opened):
        with start(url) as gateway:
            host, _, port = urlsplit(gateway.url).netloc.partition(":")
            make = request_maker(gateway.url, Work(endpoint, clients))
            await _read_once(make, host, int(port))
            before, growths = _resident_kib(gateway.pid), []
            receivers = []
            for number in range(clients):
                request = await loop.run_in_executor(None, make, number + 1)
                connection = socket.socket()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.setblocking(False)
                await loop.sock_connect(connection, (host, int(port)))
                transport, receiver = await loop.create_connection(
                    partial(Receiver, request, array("d")), sock=connection
                )
                transport.pause_reading()
                receivers.append(receiver)
            for _ in range(3):
                await asyncio.sleep(seconds / 3)
                growths.append((_resident_kib(gateway.pid) - before) / clients)
            sent = sum(opened.get_nowait().sent for _ in range(opened.qsize()))
            for receiver in receivers:
                receiver.transport.abort()
    return growths[0], growths[1], growths[2], sent / clients


async def _read_once(make: Callable[[int], bytes], host: str, port: int) -> None:
    """Read a stream for a moment, so that modules and first objects do not count."""
    request = await asyncio.get_running_loop().run_in_executor(None, make, 0)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    await reader.readuntil(b"~~~~")
    writer.close()
    await asyncio.sleep(0.5)


def _resident_kib(pid: int) -> float:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1024
