"""Send an encoded stream as the body of a response.

All frames that wait are written at once: a burst of events costs one write. The write waits for the
socket, and a stream that waits for its reader is slowed down (`to_aiter`). A client that leaves
cancels its handler, which disposes the stream; so the server must run with
`handler_cancellation=True`, as `serve` does. Without it the leaving is noticed at the next write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import ClientConnectionResetError, web
from reactivex import Observable

from rxagents.runtime.to_aiter import Reading, to_aiter
from rxagents.serve.limits import ServeLimits

SSE_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold the events back
}

_PING = b": ping\n\n"


async def send_stream(
    request: web.Request,
    frames: Observable[bytes],
    limits: ServeLimits,
    headers: Mapping[str, str] = SSE_HEADERS,
) -> web.StreamResponse:
    """Send the frames as they come, until the stream ends or the client leaves."""
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        async with to_aiter(frames) as reading:
            await _write_all(response, reading, limits)
        await response.write_eof()
    except TimeoutError:  # it does not read; the end of the response would wait for it
        if request.transport is not None:
            request.transport.abort()
    except ClientConnectionResetError:
        pass  # it has left
    return response


async def _write_all(
    response: web.StreamResponse, reading: Reading[bytes], limits: ServeLimits
) -> None:
    while True:
        try:
            async with asyncio.timeout(limits.ping_seconds):
                first = await anext(reading)
        except StopAsyncIteration:
            return
        except TimeoutError:
            await response.write(_PING)
            continue
        async with asyncio.timeout(limits.write_seconds):
            await response.write(b"".join((first, *reading.take_waiting())))
