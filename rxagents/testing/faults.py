"""Send a reply over a connection, including the fault that ends it.

This module knows no wire: a reply is a sequence of byte strings.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import zlib
from collections.abc import Iterable, Iterator

from aiohttp import web

from rxagents.testing.delivery import Ending, Framing
from rxagents.testing.script import NoReply, RawReply

_MISSING = 1000
"""Bytes that `content-length` announces in excess of those that are sent."""

_PAUSE = 0.02
"""Seconds for the client to read the earlier data, so that the next bytes arrive separately."""

_BAD_CHUNK = b"no size\r\n"


async def send(request: web.BaseRequest, reply: RawReply) -> web.StreamResponse:
    """Send a reply as the response to a request.

    Raises:
        ConnectionError: The client has disconnected.
    """
    await asyncio.sleep(reply.delay)
    parts = _parts(reply)
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    if reply.framing is Framing.LENGTH:
        parts = list(parts)
        missing = 0 if reply.ending.ends_body else _MISSING
        response.content_length = sum(map(len, parts)) + missing
    await _send_head(request, response, reply.framing)
    yields = reply.interval or reply.gzip or reply.ending is Ending.ENDLESS
    for position, part in enumerate(parts):
        if position and yields:
            await asyncio.sleep(reply.interval)
        await request.writer.write(part)
    if reply.interval and not reply.ending.ends_body:
        await asyncio.sleep(reply.interval)
    closes = reply.framing is Framing.CLOSE and reply.ending.ends_body
    await _end(request, Ending.FIN if closes else reply.ending)
    return response


async def refuse(request: web.BaseRequest, reply: NoReply) -> web.StreamResponse:
    """End a request without a response."""
    await asyncio.sleep(reply.delay)
    await _end(request, reply.ending)
    return web.Response()  # aiohttp requires one; it is not sent, since the connection is closed


def _headers(reply: RawReply) -> dict[str, str]:
    headers = {"content-type": reply.content_type}
    if reply.gzip:
        headers["content-encoding"] = "gzip"
    if reply.framing is Framing.CLOSE:
        headers["connection"] = "close"
    return {**headers, **{name.lower(): value for name, value in reply.headers.items()}}


async def _send_head(
    request: web.BaseRequest, response: web.StreamResponse, framing: Framing | None
) -> None:
    if framing is not Framing.CLOSE:
        await response.prepare(request)
        return
    # Written by hand: `prepare` would frame the body, which HTTP/1.1 allows.
    status = f"HTTP/1.1 {response.status} {response.reason}"
    await request.writer.write_headers(status, response.headers)
    request.writer.send_headers()


def _parts(reply: RawReply) -> Iterable[bytes]:
    """Return the parts of the body, each for one write."""
    parts: Iterable[bytes] = reply.pieces
    if reply.ending is Ending.ENDLESS:
        parts = itertools.chain(parts, itertools.repeat(reply.pieces[-1]))
    if reply.gzip:
        parts = _compressed(parts, ends=reply.ending.ends_body)
    return parts if reply.write_size is None else _cut(parts, reply.write_size)


def _compressed(pieces: Iterable[bytes], ends: bool) -> Iterator[bytes]:
    gzip = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        yield gzip.compress(piece) + gzip.flush(zlib.Z_SYNC_FLUSH)
    if ends:
        yield gzip.flush()


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


async def _end(request: web.BaseRequest, ending: Ending) -> None:
    if ending is Ending.STALL:
        await _stall()
    elif ending is Ending.BAD_CHUNK:
        transport = await _flushed(request)
        await asyncio.sleep(_PAUSE)
        transport.write(_BAD_CHUNK)
        await _stall()
    elif ending is Ending.FIN:
        (await _flushed(request)).close()
    elif ending is Ending.RESET:
        transport = await _flushed(request)
        reset_on_close = struct.pack("ii", 1, 0)  # linger on, for 0 seconds
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        transport.abort()


async def _flushed(request: web.BaseRequest) -> asyncio.Transport:
    """Wait until the kernel has all written data; return the transport."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("The client has disconnected.")
    transport.set_write_buffer_limits(0)
    await request.writer.drain()
    return transport


async def _stall() -> None:
    await asyncio.Event().wait()
