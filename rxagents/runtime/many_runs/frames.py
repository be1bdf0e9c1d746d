"""Send and receive messages over a byte stream: four bytes of length, then the message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

_LENGTH = 4


class FrameProtocol(asyncio.Protocol):
    """One end of a connection.

    Args:
        on_message: Called with each message.
        on_lost: Called once, when the connection has ended.
    """

    def __init__(self, on_message: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass on the messages that are whole."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTH:
            end = start + _LENGTH + int.from_bytes(buffer[start : start + _LENGTH], "big")
            if len(buffer) < end:
                break
            message = bytes(buffer[start + _LENGTH : end])
            start = end
            self._on_message(message)
        if start:
            del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end."""
        self._on_lost()

    def send(self, message: bytes) -> None:
        """Send a message; nothing happens after the end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(len(message).to_bytes(_LENGTH, "big") + message)

    def pause(self) -> None:
        """Read no more for the moment."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
