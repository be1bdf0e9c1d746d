"""The rules of a stream over TLS, directly and through a proxy's tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import trustme
from faults import LAST, chunk, head
from faulty_server import Act, Cue, FaultyServer
from reactivex import operators as rx_ops
from running import run_async
from wires import WIRES

import rxagents
from rxagents.testing.virtual_time import VirtualLoop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": VirtualLoop}
with contextlib.suppress(ImportError):  # there is none for Windows
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

WIRE = WIRES[0]
CHUNKED = head(200, b"content-type: " + WIRE.content_type, b"transfer-encoding: chunked")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """The server's TLS context."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client trust the server, as the variable `SSL_CERT_FILE` would."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", context)


@pytest.fixture(params=["direct", "tunnel"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a context manager that routes to the server, and yields the proxy's requests."""

    @asynccontextmanager
    async def direct() -> AsyncIterator[list[bytes]]:
        yield []

    @asynccontextmanager
    async def tunnel() -> AsyncIterator[list[bytes]]:
        asked: list[bytes] = []
        async with await asyncio.start_server(
            lambda *ends: _tunnel(asked, *ends), "127.0.0.1", 0
        ) as proxy:
            host, port = proxy.sockets[0].getsockname()
            monkeypatch.setenv("HTTPS_PROXY", f"http://{host}:{port}")
            yield asked
            assert asked

    return direct if request.param == "direct" else tunnel


async def _tunnel(
    asked: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    asked.append(request)
    host, _, port = request.split()[1].decode().partition(":")
    from_server, to_server = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


SHORT = [WIRE.text(text) for text in ("a", "b", "c")]
LONG = [WIRE.text("x" * 40_000), WIRE.text("y" * 300_000), *SHORT]


@pytest.mark.parametrize("packet", [1, 1000, 100_000, 1_000_000])
async def test_every_byte_arrives(
    packet: int, way: Any, tls: ssl.SSLContext, trusted: None
) -> None:
    events = SHORT if packet == 1 else LONG
    body = b"".join(map(chunk, [*events, WIRE.finish(), WIRE.done()])) + LAST
    act: list[bytes | Cue] = [CHUNKED, *in_pieces(body, packet)]
    async with way(), FaultyServer(act, tls=tls) as server:
        async with WIRE.model(server.url) as llm:
            for _ in range(2):  # the second request uses the same connection
                answer = await llm.chat("hi")
                assert answer.content.endswith("abc")
                assert len(answer.content) == (3 if packet == 1 else 340_003)
        await server.all_left()
    assert (len(server.requests), server.accepted) == (2, 1)


NUMBERS = [f"{number:04}" for number in range(1500)]
NUMBERED = [WIRE.text(f"{number} {'x' * 60} ") for number in NUMBERS]


async def test_close_keeps_text_for_slow_reader(
    way: Any, tls: ssl.SSLContext, trusted: None
) -> None:
    body = b"".join(map(chunk, [*NUMBERED, WIRE.finish(), WIRE.done()])) + LAST
    act: Act = [CHUNKED, Cue.PAUSE, body, Cue.FIN]
    async with way(), FaultyServer(act, tls=tls) as server, WIRE.model(server.url) as llm:
        async with rxagents.to_aiter(llm.chat_stream("hi"), capacity=1) as chunks:
            numbers = [(await anext(chunks)).delta[:4]]
            await server.all_left()
            numbers += [chunk.delta[:4] async for chunk in chunks if chunk.delta]
    assert numbers == NUMBERS


@pytest.mark.parametrize("own_session", [False, True])
async def test_close_keeps_compressed_text(
    own_session: bool, way: Any, tls: ssl.SSLContext, trusted: None
) -> None:
    texts = [WIRE.text(f"{number:04} {'x' * 60}") for number in range(5000)]
    body = gzip.compress(b"".join([*texts, WIRE.finish(), WIRE.done()]))
    coded = head(200, b"content-type: " + WIRE.content_type, b"content-encoding: gzip",
                 b"content-length: %d" % len(body))  # fmt: skip
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(way())
        act: Act = [coded + body[:999], Cue.PAUSE, body[999:], Cue.FIN]
        server = await stack.enter_async_context(FaultyServer(act, tls=tls))
        session = None
        if own_session:
            session = await stack.enter_async_context(aiohttp.ClientSession(trust_env=True))
        llm = await stack.enter_async_context(WIRE.model(server.url, session=session))
        async with rxagents.to_aiter(llm.chat_stream("hi"), capacity=1) as chunks:
            numbers = [int((await anext(chunks)).delta[:4])]
            await server.all_left()
            numbers += [int(chunk.delta[:4]) async for chunk in chunks if chunk.delta]
    assert numbers == list(range(5000))


@pytest.mark.parametrize("loop_factory", LOOPS.values(), ids=LOOPS)
def test_immediate_close_keeps_the_text(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], tls: ssl.SSLContext, trusted: None
) -> None:
    assert run_async(read_numbers(tls), loop_factory=loop_factory) == NUMBERS


async def read_numbers(tls: ssl.SSLContext) -> list[str]:
    first, *rest = [*map(chunk, [*NUMBERED, WIRE.finish(), WIRE.done()]), LAST]
    sent = threading.Event()

    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        with tls.wrap_socket(accepted, server_side=True) as connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(2**16)
            connection.sendall(CHUNKED + first)
            connection.sendall(b"".join(rest))
            connection.shutdown(socket.SHUT_WR)
            sent.set()
            while accepted.fileno() >= 0 and connection.recv(2**16):
                """Wait until the client closes."""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(serve, listener))
        async with WIRE.model(f"https://127.0.0.1:{listener.getsockname()[1]}") as llm:
            stream = llm.chat_stream("hi").pipe(rx_ops.filter(lambda _: sent.wait(10)))
            async with rxagents.to_aiter(stream) as chunks:
                numbers = [chunk.delta[:4] async for chunk in chunks if chunk.delta]
        await serving
    return numbers


@pytest.mark.parametrize("end", [Cue.FIN, Cue.RESET])
async def test_cut_keeps_earlier_text(
    end: Cue, way: Any, tls: ssl.SSLContext, trusted: None
) -> None:
    act: Act = [CHUNKED, *map(chunk, SHORT), Cue.PAUSE, end]
    texts: list[str] = []
    async with way(), FaultyServer(act, tls=tls) as server, WIRE.model(server.url) as llm:
        with pytest.raises(rxagents.TruncatedStreamError):
            async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
                async for item in chunks:
                    texts.append(item.delta)
    assert texts == ["a", "b", "c"]


async def test_dispose_closes_the_connection(way: Any, tls: ssl.SSLContext, trusted: None) -> None:
    texts: asyncio.Queue[str] = asyncio.Queue()
    act: Act = [CHUNKED, *map(chunk, SHORT), Cue.STALL]
    async with way(), FaultyServer(act, tls=tls) as server, WIRE.model(server.url) as llm:
        stream = llm.chat_stream("hi")
        subscription = stream.subscribe(lambda chunk: texts.put_nowait(chunk.delta))
        assert [await texts.get() for _ in SHORT] == ["a", "b", "c"]
        subscription.dispose()
        async with asyncio.timeout(5):
            await server.all_left()


async def test_untrusted_server_receives_nothing(
    tls: ssl.SSLContext, loop_errors: list[Exception]
) -> None:
    async with FaultyServer([CHUNKED], tls=tls) as server, WIRE.model(server.url) as llm:
        with pytest.raises(rxagents.ConnectError, match="certificate"):
            await llm.chat("hi")
        assert server.requests == []
    loop_errors.clear()  # the server reports the broken handshake
