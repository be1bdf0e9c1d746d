"""Check that the installed aiohttp works with `Connection`, which uses parts that are not public.

A release of aiohttp may rename such a part, or use it in another way. Streams would then hang or
lose text. So the first session of a process plays three responses through a `Connection`, without
a network. If they do not arrive as they should, connections are aiohttp's own: slower, and without
what `connection.py` lists, but right. It takes 0.3 ms.
"""

from __future__ import annotations

import asyncio
import functools

import aiohttp

from rxagents.runtime.logs import logger
from rxagents.transport.connection import READ_BYTES, Connection

_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_KNOWN_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ne"


@functools.cache
def is_supported() -> bool:
    """Return whether connections may be `Connection`s; warn if not. Needs a running loop."""
    try:
        _check()
    except Exception as error:
        logger("transport").warning(
            "aiohttp %s differs from the versions that rxagents knows (%r). Streams work, but need "
            "more CPU. Install an older aiohttp, or a newer rxagents.",
            aiohttp.__version__,
            error,
        )
        return False
    return True


def _check() -> None:
    connection = Connection(asyncio.get_running_loop(), memoryview(bytearray(READ_BYTES)))
    transport = _Transport()
    connection.connection_made(transport)
    reader = _send(connection, _CHUNKED)
    _receive(connection, b"1\r\na\r\n4\r\nbc")
    _expect(transport.is_paused and reader.read_nowait(9) == b"abc", "pause")
    _receive(connection, b"de\r\n0\r\n\r\n")
    _expect(reader.read_nowait(9) == b"de" and reader.is_eof(), "chunked body")
    _expect(not transport.is_paused and not connection.should_close, "resume")
    reader = _send(connection, _KNOWN_LENGTH)
    _expect(reader.read_nowait(9) == b"e" and reader.is_eof(), "body of a known length")
    reader = _send(connection, _CHUNKED)
    _receive(connection, b"1\r\nf\r\n")
    connection.connection_lost(None)
    _expect(reader.exception() is not None, "lost connection")
    _expect(reader._read_nowait(-1) == b"f", "text before a lost connection")  # noqa: SLF001 - as in HttpResponse


def _send(connection: Connection, data: bytes) -> aiohttp.StreamReader:
    """Expect a response and receive its headers; return the buffer of its body."""
    connection.set_response_params(
        auto_decompress=False, read_until_eof=True, read_bufsize=1, read_timeout=None
    )
    _receive(connection, data)
    (message, reader), _ = connection._buffer.popleft()  # noqa: SLF001 - `read` is a coroutine
    _expect(message.code == 200, "headers")
    return reader


def _receive(connection: Connection, data: bytes) -> None:
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))


def _expect(is_right: bool, what: str) -> None:
    if not is_right:
        raise RuntimeError(what)


class _Transport(asyncio.Transport):
    """A transport that only notes whether reading is paused."""

    is_paused = False

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
