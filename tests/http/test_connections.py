"""A connection serves one response at a time, whatever its packets are."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp.http import HttpResponseParser
from aiohttp.http_parser import HttpResponseParserPy
from faults import LAST, chunk, head
from faulty_server import Act, Cue, FaultyServer, Step
from wires import WIRES, SpokenWire, any_wire
from yarl import URL

import rxagents
from rxagents.transport import Transport
from rxagents.transport.connection import READ_BYTES, Connection

FIRST = WIRES[0]


def chunked_head(wire: SpokenWire) -> bytes:
    return head(200, b"content-type: " + wire.content_type, b"transfer-encoding: chunked")


def body(wire: SpokenWire, *texts: str) -> bytes:
    events = [*map(wire.text, texts), wire.finish(), wire.done()]
    return b"".join(map(chunk, events)) + LAST


def packets(data: bytes, size: int) -> Iterator[Step]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield Cue.PAUSE


@any_wire
@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"])
async def test_headers_split_at_any_byte(wire: SpokenWire, cut: int, interim: bytes) -> None:
    headers = interim + chunked_head(wire)
    act: Act = [headers[:-cut], Cue.PAUSE, headers[-cut:], Cue.PAUSE, body(wire, "a", "b")]
    async with FaultyServer(act) as server, wire.model(server.url) as llm:
        for _ in range(2):
            assert (await llm.chat("hi")).content == "ab"
        assert server.accepted == 1


@pytest.mark.parametrize("size", [1, 7])
async def test_headers_arrive_in_small_packets(size: int) -> None:
    headers = b"HTTP/1.1 100 Continue\r\n\r\n" + chunked_head(FIRST)
    act = [*packets(headers, size), body(FIRST, "a", "b")]
    async with FaultyServer(act) as server, FIRST.model(server.url) as llm:
        assert (await llm.chat("hi")).content == "ab"


ODD_HEADS: dict[str, bytes] = {}
if not aiohttp.helpers.DEBUG:  # in Python's development mode aiohttp refuses them
    ODD_HEADS |= {
        "bare LF": chunked_head(FIRST).replace(b"\r\n", b"\n"),
        "bare LF at the end": chunked_head(FIRST)[:-2] + b"\n",
        "interim with bare LF": b"HTTP/1.1 103 Early Hints\n\n" + chunked_head(FIRST),
    }
if HttpResponseParser is not HttpResponseParserPy:  # which refuses them
    ODD_HEADS |= {
        "CRLF first": b"\r\n" + chunked_head(FIRST),
        "two CRLF first": b"\r\n\r\n" + chunked_head(FIRST),
        "CRLF before an interim": b"\r\nHTTP/1.1 103 Hints\r\n\r\n" + chunked_head(FIRST),
    }


@pytest.mark.parametrize("headers", ODD_HEADS.values(), ids=ODD_HEADS)
@pytest.mark.parametrize("pauses", [[Cue.PAUSE], []])
async def test_body_after_odd_line_ends(headers: bytes, pauses: list[Step]) -> None:
    events: Act = [
        chunk(FIRST.text("a")),
        Cue.PAUSE,
        chunk(FIRST.text("b")),
        Cue.PAUSE,
        body(FIRST),
    ]
    act: Act = [headers, *pauses, *events]
    async with FaultyServer(act) as server, FIRST.model(server.url, timeout=2) as llm:
        for _ in range(2):
            assert (await llm.chat("hi")).content == "ab"
        assert server.accepted == 1


@pytest.mark.parametrize("headers", ODD_HEADS.values(), ids=ODD_HEADS)
async def test_unrequested_response_after_odd_line_ends(headers: bytes) -> None:
    unasked = chunked_head(FIRST) + body(FIRST, "unasked")
    act: Act = [headers, Cue.PAUSE, body(FIRST, "asked"), Cue.PAUSE, unasked, Cue.STALL]
    async with FaultyServer(act) as server, FIRST.model(server.url, max_retries=0) as llm:
        for number in (1, 2):
            assert (await llm.chat("hi")).content == "asked"
            await server.all_left()
            assert server.accepted == number


class CountingListener:
    """Keeps the packets that a connection gives to it."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def body_arrived(self, data: bytes) -> None:
        self.packets.append(data)

    def data_arrived(self) -> None:
        pass

    def connection_lost(self) -> None:
        pass


def receive(connection: Connection, packet: bytes) -> None:
    connection.get_buffer(-1)[: len(packet)] = packet
    connection.buffer_updated(len(packet))


async def test_packets_without_the_buffer() -> None:
    """uvloop gives packets to `data_received`."""
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    connection.set_response_params()
    connection.data_received(chunked_head(FIRST))
    connection.listener = listener = CountingListener()
    large = b"b" * 3 * READ_BYTES
    for packet in (chunk(b"a"), chunk(large), LAST):
        connection.data_received(packet)
    assert listener.packets == [b"a", large]
    ((_, reader), _) = connection._buffer.popleft()
    assert reader.is_eof()


class TlsTransport(asyncio.Transport):
    """Holds packets that were not decrypted when the connection closed, as uvloop's TLS does."""

    def __init__(self, *packets: bytes) -> None:
        super().__init__({"ssl_object": self})
        self._packets = list(packets)

    def is_closing(self) -> bool:
        return True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def read(self, _: int) -> bytes:
        if not self._packets:
            raise ssl.SSLWantReadError
        return self._packets.pop(0)


@pytest.mark.parametrize("pause", [True, False])
async def test_close_decrypts_what_waits(pause: bool) -> None:
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    connection.connection_made(TlsTransport(chunk(b"b" * 99), chunk(b"c"), LAST))
    connection.set_response_params(read_bufsize=10)
    connection.data_received(chunked_head(FIRST))
    ((_, reader), _) = connection._buffer.popleft()
    connection.data_received(chunk(b"a" * (99 if pause else 1)))
    assert connection._reading_paused == pause
    connection.connection_lost(None)
    assert (await reader.read()).lstrip(b"a") == b"b" * 99 + b"c"


async def test_listener_gets_nothing_of_a_later_response() -> None:
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    earlier = CountingListener()
    for text in (b"earlier", b"later"):
        connection.set_response_params()
        receive(connection, chunked_head(FIRST))
        if text == b"earlier":
            connection.listener = earlier
        receive(connection, chunk(text))
        receive(connection, LAST)
    assert earlier.packets == [b"earlier"]
    _, (_, second) = (pair for pair, _ in connection._buffer)
    assert await second.read() == b"later"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("header", [b"content-length: 8", b"transfer-encoding: chunked"])
async def test_status_without_a_body(status: int, header: bytes) -> None:
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    for packet in (head(status, header), head(200, b"content-length: 1") + b"a"):
        connection.set_response_params()
        receive(connection, packet)
    (_, first), (_, second) = (pair for pair, _ in connection._buffer)
    assert (await first.read(), await second.read()) == (b"", b"a")


@pytest.mark.parametrize("headers", [head(204), head(429, b"content-length: 0")])
async def test_bytes_after_no_body_close_the_connection(headers: bytes) -> None:
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    connection.set_response_params()
    receive(connection, headers + b"HTTP/1.1 2")
    connection._buffer.clear()
    assert connection.should_close


async def test_buffer_of_a_burst_without_data_is_dropped() -> None:
    """asyncio's TLS asks for a buffer, and reads nothing if a record is not whole."""
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    connection.set_response_params()
    connection.get_buffer(READ_BYTES)
    receive(connection, head(200, b"content-length: 1") + b"a")
    ((message, reader), _) = connection._buffer.popleft()
    assert message.code == 200
    assert await reader.read() == b"a"


@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_text_before_broken_encoding_is_delivered(interim: bytes) -> None:
    packet = interim + chunked_head(FIRST) + chunk(FIRST.text("a")) + b"zz\r\n"
    texts: list[str] = []
    async with FaultyServer([packet, Cue.STALL]) as server, FIRST.model(server.url) as llm:
        with pytest.raises(rxagents.ProtocolError):
            async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
                async for item in chunks:
                    texts.append(item.delta)
    assert texts == ["a"]


@any_wire
@pytest.mark.parametrize("pause", [True, False])
@pytest.mark.parametrize("surplus", ["response", "half a response", "status 408", "text"])
async def test_unrequested_bytes_close_the_connection(
    wire: SpokenWire, pause: bool, surplus: str
) -> None:
    unasked = {
        "response": chunked_head(wire) + body(wire, "unasked"),
        "half a response": (chunked_head(wire) + body(wire, "unasked"))[:-9],
        "status 408": head(408, b"content-length: 0"),
        "text": b"Good bye.",
    }[surplus]
    whole = body(wire, "asked")
    parts: Act = [whole, Cue.PAUSE, unasked] if pause else [whole + unasked]
    act = [chunked_head(wire), Cue.PAUSE, *parts, Cue.STALL]
    async with FaultyServer(act) as server, wire.model(server.url, max_retries=0) as llm:
        for number in (1, 2):
            assert (await llm.chat("hi")).content == "asked"
            await server.all_left()
            assert server.accepted == number


@any_wire
async def test_connection_is_reused_beside_slow_reader(wire: SpokenWire) -> None:
    first: Act = [chunked_head(wire), Cue.PAUSE, body(wire, "a", "b", "c")]
    pieces = [step for text in "xyz" for step in (Cue.PAUSE, chunk(wire.text(text)))]
    second: Act = [chunked_head(wire), *pieces, Cue.PAUSE, body(wire)]
    async with FaultyServer(first, second) as server, wire.model(server.url) as llm:
        async with rxagents.to_aiter(llm.chat_stream("hi"), capacity=1) as slow:
            texts = [(await anext(slow)).delta]
            async with rxagents.to_aiter(llm.chat_stream("hi")) as quick:
                others = [(await anext(quick)).delta]
                texts += [item.delta async for item in slow]
                others += [item.delta async for item in quick]
        assert ("".join(texts), "".join(others)) == ("abc", "xyz")
        assert server.accepted == 1


async def test_late_reader_gets_packets_in_order() -> None:
    pieces = [step for text in "abc" for step in (Cue.PAUSE, chunk(text.encode()))]
    async with FaultyServer([chunked_head(FIRST), *pieces, Cue.PAUSE, LAST]) as server:
        transport = Transport("test")
        response = await transport.send(URL(server.url), {}, b"", None)
        calls = 0
        seen: list[bytes | None] = []
        end = asyncio.Event()

        def on_data() -> None:
            nonlocal calls
            calls += 1
            if calls != 2:
                while seen[-1:] != [b""] and (data := response.read_nowait()) is not None:
                    seen.append(data)
            if seen[-1:] == [b""]:
                end.set()

        assert response.listen(on_data)
        assert response.read_nowait() is None
        await end.wait()
        response.finish()
        await transport.aclose()
    assert seen == [b"a", b"bc", b""]
