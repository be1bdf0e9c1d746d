"""A reader that comes back as a browser's `EventSource` does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress

import aiohttp

from rxagents.parsing.sse import ServerSentEvent, SSEDecoder

_WAIT = 0.2
"""Seconds before a reader connects again after a connection without an event."""


def random_sizes(most: int) -> Iterator[int]:
    """Yield numbers of bytes after which a `CuttingProxy` cuts, the same in each test."""
    numbers = random.Random(1)
    while True:
        yield numbers.randrange(1, most)


class EventSource:
    """Reads server-sent events to the event `end`, over as many connections as it takes.

    An event that was cut is discarded, and the next connection asks for what follows the last id.

    Args:
        url: The URL of the server or proxy.
        path: The path of the stream.

    Attributes:
        events: The events so far, without `end`.
        has_ended: Whether `end` came, or the server said that nothing more follows.
        connections: How many connections there were.
    """

    def __init__(self, url: str, path: str) -> None:
        self.events: list[ServerSentEvent] = []
        self.has_ended = False
        self.connections = 0
        self._url = url + path
        self._last_id = ""
        self._has_come = asyncio.Event()

    async def read(self) -> None:
        """Read to the end."""
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            while not self.has_ended:
                self.connections += 1
                known = len(self.events)
                with suppress(aiohttp.ClientError, ConnectionError):
                    await self._read(session)
                if len(self.events) == known:
                    await asyncio.sleep(_WAIT)  # the server may be gone

    async def _read(self, session: aiohttp.ClientSession) -> None:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        decoder = SSEDecoder()
        async with session.get(self._url, headers=headers) as response:
            self.has_ended = response.status == 204
            assert response.status in {200, 204}, await response.text()
            async for data in response.content.iter_any():
                for event in decoder.feed(data):
                    self._on_event(event)

    def _on_event(self, event: ServerSentEvent) -> None:
        if event.event == "end":
            self.has_ended = True
            return
        self._last_id = event.id or self._last_id
        self.events.append(event)
        self._has_come.set()

    async def read_on(self, count: int) -> None:
        """Wait until `count` events have come, while `read` runs."""
        while len(self.events) < count:
            self._has_come.clear()
            await self._has_come.wait()
