"""Stop many streams from one place."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Lock
from typing import Protocol

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.loop import run_on_loop, running_loop


class Stoppable(Protocol):
    """A stream that a kill switch can stop."""

    def stop(self, error: Exception | None) -> None:
        """End the stream soon: with an error, or complete it. Any thread may call it."""


class KillSwitch:
    """Stops all streams that pass it, with `ops.stop_with(switch)`.

    A program that ends, a user who logs out or an operator who sees an agent go astray stops what
    runs, wherever it was subscribed to. A stream that is subscribed to afterwards ends at once,
    without a request. The first of `shutdown` and `abort` counts. Any thread may call them.

    Attributes:
        is_closed: Whether new streams end at once: after `shutdown` and `abort`, and from the
            beginning of `drain`.
        error: The error of `abort`; `None` before, and after `shutdown`.

    Example:
        >>> import asyncio, reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> async def main():
        ...     switch = rxagents.KillSwitch()
        ...     stream = rx.concat(rx.of("a"), rx.never()).pipe(ops.stop_with(switch))
        ...     stream.subscribe(print, on_completed=lambda: print("completed"))
        ...     print(switch.running)
        ...     print(await switch.drain(timeout=0.01))
        >>> asyncio.run(main())
        a
        1
        False
        completed
    """

    def __init__(self) -> None:
        self.is_closed = False
        self.error: Exception | None = None
        self._is_stopped = False
        self._lock = Lock()
        self._streams: dict[Stoppable, None] = {}
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def running(self) -> int:
        """How many streams pass the switch now."""
        return len(self._streams)

    def shutdown(self) -> None:
        """Complete all streams, and cancel their sources."""
        self._stop(None)

    def abort(self, error: Exception) -> None:
        """Fail all streams, and cancel their sources.

        Args:
            error: What the streams fail with.

        Raises:
            ConfigurationError: `error` is not an exception.
        """
        if not isinstance(error, Exception):
            raise ConfigurationError(f"error must be an Exception, not {type(error).__name__}.")
        self._stop(error)

    async def drain(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - for the streams
        """Let no stream begin, wait until those that run have ended, and shut down the rest.

        Args:
            timeout: The seconds to wait; `None` for no limit.

        Returns:
            Whether all streams ended by themselves.
        """
        waiting = (running_loop(), asyncio.Event())
        with self._lock:
            self.is_closed = True
            self._waiting.append(waiting)
            if not self._streams:
                waiting[1].set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await waiting[1].wait()
        finally:
            with self._lock:
                self._waiting.remove(waiting)
        is_drained = waiting[1].is_set() and not self._is_stopped
        self.shutdown()
        return is_drained

    def join(self, stream: Stoppable) -> bool:
        """Stop `stream` too, until `leave`; return False if the switch is closed."""
        with self._lock:
            if not self.is_closed:
                self._streams[stream] = None
            return not self.is_closed

    def leave(self, stream: Stoppable) -> None:
        """Forget a stream that has ended. Any thread may call it."""
        with self._lock:
            self._streams.pop(stream, None)
            waiting = () if self._streams else tuple(self._waiting)
        for loop, event in waiting:
            run_on_loop(loop, event.set)

    def _stop(self, error: Exception | None) -> None:
        with self._lock:
            if self._is_stopped:
                return
            self.is_closed = self._is_stopped = True
            self.error = error
            streams = tuple(self._streams)
        for stream in streams:
            stream.stop(error)
