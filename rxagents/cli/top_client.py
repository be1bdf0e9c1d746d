"""Ask other processes for the figures of their probes."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec

from rxagents.runtime.inspect_folder import InspectSocket, found_sockets
from rxagents.runtime.inspect_server import Question
from rxagents.runtime.inspection import Inspection

_MAX_ANSWER = 64 * 1024 * 1024
_WINDOW = 5
"""The snapshots between which rates and shares are computed."""


class Link:
    """A connection to one process; an asynchronous context manager.

    Args:
        path: The process's socket.
        items: Whether to ask for the text of items.

    Attributes:
        newest: The newest snapshot; `None` before the first.
    """

    def __init__(self, path: Path, *, items: bool) -> None:
        self.newest: Inspection | None = None
        self._path = path
        self._question = msgspec.json.encode(Question(items)) + b"\n"
        self._earlier: deque[Inspection] = deque(maxlen=_WINDOW)
        self._answer: asyncio.Future[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, seconds: float) -> bool:
        """Ask for a snapshot, unless an answer is still missing, and wait for it.

        Returns:
            Whether the answer came within `seconds`. A process whose loop is blocked sends it late.

        Raises:
            OSError: The process has ended.
        """
        if self._answer is None:
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(self._path, limit=_MAX_ANSWER)
            reader, writer = self._streams
            writer.write(self._question)
            self._answer = asyncio.ensure_future(reader.readline())
        await asyncio.wait({self._answer}, timeout=seconds)
        if not self._answer.done():
            return False
        line, self._answer = self._answer.result(), None
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the process has closed the connection")
        self.newest = msgspec.json.decode(line, type=Inspection)
        self._earlier.append(self.newest)
        return True

    @property
    def recent(self) -> Inspection | None:
        """The newest snapshot, with the rates and shares of the last ones."""
        return None if self.newest is None else self.newest.since(self._earlier[0])

    async def __aenter__(self) -> Link:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._answer is not None:
            self._answer.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await self._answer
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()


async def live_sockets() -> list[InspectSocket]:
    """Return one socket of each process that listens; remove those of processes that have ended."""
    live: dict[int, InspectSocket] = {}
    for found in found_sockets():
        if found.pid not in live and await _is_live(found.path):
            live[found.pid] = found
    return list(live.values())


async def _is_live(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except ConnectionRefusedError:  # the file has outlived its process
        _remove(path)
        return False
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
