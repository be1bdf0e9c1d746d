"""Send an encoded stream as the body of a response.

Theory of operation. Goal: an event costs no task switch, no timer and no coroutine between the
encoder and the socket, and the events of one read cost one write.

- The first frame schedules `_flush` for the end of what the source has read (`Gate.after_burst`),
  or for the next loop turn; the frames that come until then are joined. `_flush` writes to the
  transport itself, as one chunk of HTTP: `StreamResponse.write` is a coroutine, so a task would
  have to wake up for each write.
- The handler's task sleeps meanwhile. It is woken by the end of the stream and by a transport that
  takes no more, and after a silence it sends a comment.
- While the transport is paused, frames wait in `_frames` and the gate is closed, which slows the
  stream down. The task waits until the transport has drained, and closes the connection of a client
  that reads nothing for too long.
- A client that leaves cancels its handler, which disposes the stream; so the server must run with
  `handler_cancellation=True`, as `serve` does. Without it the leaving is noticed at the next write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from aiohttp import ClientConnectionResetError, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.runtime.bridge import Bridge
from rxagents.serve.limits import ServeLimits

_log = logging.getLogger("rxagents.serve")

SSE_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold the events back
}

_PING = b": ping\n\n"

_JOINED: Final = 64
"""Frames after which a turn of the loop that emits many is written, so that it can be paused."""

_MOST: Final = 16_384
"""Frames that may wait for the socket where nothing slows the stream down."""


async def send_stream(
    request: web.Request,
    frames: Observable[bytes],
    limits: ServeLimits,
    headers: Mapping[str, str] = SSE_HEADERS,
    *,
    opening: bytes = b"",
    are_joined: bool = False,
) -> web.StreamResponse:
    """Send the frames as they come, until the stream ends or the client leaves.

    Args:
        request: The request.
        frames: The frames.
        limits: The bounds of the server.
        headers: The headers of the response.
        opening: Sent at once, before the first frame.
        are_joined: Whether an item has all frames of its loop turn: it is written at once then.
    """
    response = web.StreamResponse(headers=headers)
    writer = await response.prepare(request)
    if writer is None or request.transport is None or request.method == "HEAD":
        return response
    sender = _Sender(request, request.transport, writer, limits, are_joined=are_joined)
    try:
        if opening:
            sender.put(opening)
        await sender.send(frames)
        async with asyncio.timeout(limits.write_seconds):
            await response.write_eof()
    except TimeoutError:  # it does not read; the end of the response would wait for it
        sender.abort()
    except ClientConnectionResetError:
        pass  # it has left
    return response


class _Sender:
    """Writes the frames of one stream to one connection.

    Args:
        request: The request.
        transport: Its connection.
        writer: The writer of the response, which has sent the head.
        limits: The bounds of the server.
        are_joined: See `send_stream`.
    """

    def __init__(
        self,
        request: web.Request,
        transport: asyncio.Transport,
        writer: AbstractStreamWriter,
        limits: ServeLimits,
        *,
        are_joined: bool,
    ) -> None:
        self._transport = transport
        self._protocol = request.protocol
        self._writer = writer
        self._limits = limits
        self._most_joined = 1 if are_joined else _JOINED
        self._is_chunked = request.version >= HttpVersion11
        self._loop = asyncio.get_running_loop()
        self._bridge = Bridge(self._loop, self._end)
        self._frames: list[bytes] = []
        self._is_paused = self._has_ended = False
        self._error: Exception | None = None
        self._wrote_at = self._loop.time()
        self._changed = asyncio.Event()

    async def send(self, frames: Observable[bytes]) -> None:
        """Send all frames.

        Raises:
            TimeoutError: The client reads nothing.
            ClientConnectionResetError: The client has left.
            Exception: The stream failed.
        """
        subscription = SingleAssignmentDisposable()
        try:
            with self._bridge.entered():
                subscription.disposable = frames.subscribe(
                    self.put, self._end, self._end, scheduler=self._bridge.scheduler
                )
            await self._wait()
        finally:
            subscription.dispose()
            await self._bridge.aclose()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def put(self, frame: bytes) -> None:
        """Send a frame with those that come in the same turn of the loop."""
        frames = self._frames
        frames.append(frame)
        if self._is_paused:
            if len(frames) > _MOST:
                self._give_up()
        elif len(frames) >= self._most_joined:
            self._flush()
        elif len(frames) == 1:
            self._bridge.gate.after_burst(self._loop, self._flush)

    def _flush(self) -> None:
        frames, transport = self._frames, self._transport
        if not frames or self._is_paused:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        if not data:
            return  # an empty chunk would be the end of the response
        if transport.is_closing():
            self._end(ClientConnectionResetError("The client has left."))
            return
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        self._wrote_at = self._loop.time()
        if self._protocol.writing_paused:
            self._is_paused = True
            self._bridge.gate.close()
            self._changed.set()

    def _give_up(self) -> None:
        if not self._transport.is_closing():
            _log.error(
                "More than %d frames wait for a client that is slower than its stream, and the "
                "stream does not slow down: its connection is closed.",
                _MOST,
            )
            self._transport.abort()
        self._frames.clear()

    def _end(self, error: Exception | None = None) -> None:
        if not self._has_ended:
            self._has_ended, self._error = True, error
        self._changed.set()

    async def _wait(self) -> None:
        """Return when the stream has ended and all frames are written."""
        while True:
            if self._is_paused:
                await self._drain()
            elif self._has_ended:
                break
            else:
                await self._wait_for_change()
        self._flush()
        if self._error is not None:
            raise self._error

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        seconds = self._limits.ping_seconds
        try:
            async with asyncio.timeout_at(self._wrote_at + seconds):
                await self._changed.wait()
        except TimeoutError:
            if self._loop.time() >= self._wrote_at + seconds:
                self.put(_PING)
                self._flush()

    async def _drain(self) -> None:
        async with asyncio.timeout(self._limits.write_seconds):
            await self._writer.drain()
        self._is_paused = False
        self._flush()
        if not self._is_paused:
            self._bridge.gate.open()
