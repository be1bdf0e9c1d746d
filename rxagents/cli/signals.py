"""Handle Ctrl-C and SIGTERM: first the stream ends, then the program."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, TypeVar

R = TypeVar("R")

_STDERR = 2
_SHOW_CURSOR = b"\x1b[?25h"


class StopSignals:
    """Turns SIGINT and SIGTERM into `SystemExit` with the usual status, 128 + the signal.

    While `run` waits for a stream, a signal cancels that work, so that it can close its
    resources; at any other time the signal raises `SystemExit` immediately.
    """

    def __init__(self) -> None:
        self._status = 0
        self._cancel: Callable[[], object] | None = None

    def install(self) -> None:
        """Handle both signals from now on; a second signal ends the process at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run `work` on an event loop of its own.

        Raises:
            SystemExit: A signal arrived.
            Exception: The exception of `work`.
        """
        try:
            result = asyncio.run(self._cancellable(work))
        except asyncio.CancelledError:
            if not self._status:
                raise
        if self._status:
            raise SystemExit(self._status)
        return result

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal raise `SystemExit` in the block: a blocked write cannot be cancelled."""
        cancel, self._cancel = self._cancel, None
        try:
            yield
        finally:
            self._cancel = cancel

    async def _cancellable(self, work: Coroutine[Any, Any, R]) -> R:
        task = asyncio.current_task()
        assert task is not None
        self._cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
        try:
            return await work
        finally:
            self._cancel = None

    def _stop(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        with suppress(OSError):
            if os.isatty(_STDERR):  # a progress bar has hidden the cursor
                os.write(_STDERR, _SHOW_CURSOR)
        self._status = 128 + number
        if self._cancel is None:
            raise SystemExit(self._status)
        self._cancel()
