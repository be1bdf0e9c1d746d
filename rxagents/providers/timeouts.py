"""How long a stream may take, by phase."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

from msgspec import Struct

from rxagents.core.errors import (
    ConfigurationError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    StreamTimeoutError,
    TotalTimeoutError,
)
from rxagents.runtime.bridge import Gate


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds a stream may take, by phase; `None` for no limit.

    The defaults are those of WHATWG-style clients for long answers: reasoning models are silent
    for minutes, and a healthy stream may go on for an hour.

    Attributes:
        connect: Name lookup, connection and TLS.
        first: From the request to the first event.
        idle: From one event to the next; comments do not count, nor does the time in which a
            slow consumer holds the stream.
        total: The whole stream.

    Raises:
        ConfigurationError: A value is not a positive number.
    """

    connect: float | None = 5.0
    first: float | None = 300.0
    idle: float | None = 120.0
    total: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not value > 0 or math.isinf(value):
                raise ConfigurationError(
                    f"The {name} timeout must be a positive number of seconds or None, "
                    f"not {value!r}."
                )

    @classmethod
    def of(cls, timeout: Timeouts | float | None) -> Timeouts:
        """Read what users write: `Timeouts`, seconds for `first` and `idle`, `None` for defaults.

        Raises:
            ConfigurationError: It is none of these.
        """
        if isinstance(timeout, Timeouts):
            return timeout
        return cls() if timeout is None else cls(first=timeout, idle=timeout)


class Watchdog:
    """Ends the current task with a typed error when an event is overdue.

    One timer a stream, not one a chunk: events only note the time, and the timer looks at it.

    Args:
        timeouts: The limits.
        provider: The provider's name, for errors.
        gate: While it is closed the idle clock stands still.
    """

    def __init__(self, timeouts: Timeouts, provider: str, gate: Gate) -> None:
        self._timeouts = timeouts
        self._provider = provider
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._started = self._last = self._loop.time()
        self._seen_event = False
        self._timer: asyncio.TimerHandle | None = None
        self._expired: StreamTimeoutError | None = None

    def note_event(self) -> None:
        """An event has come: the idle clock starts again."""
        self._seen_event = True
        self._last = self._loop.time()

    def __enter__(self) -> Watchdog:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        self._look()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._expired is None:
            return
        others = self._task.uncancel() > self._cancelled_before
        if kind is not None and issubclass(kind, asyncio.CancelledError) and not others:
            raise self._expired from error

    def _look(self) -> None:
        now = self._loop.time()
        if self._gate.closed:
            self._last = now
        deadline, error = min(self._deadlines(), key=lambda pair: pair[0])
        if now >= deadline:
            self._expired = error
            self._task.cancel()
        elif deadline < math.inf:
            self._timer = self._loop.call_at(deadline, self._look)

    def _deadlines(self) -> tuple[tuple[float, StreamTimeoutError], ...]:
        limits = self._timeouts
        if self._seen_event:
            silence: StreamTimeoutError = IdleTimeoutError(
                f"{self._provider} sent no event for {limits.idle} s in the middle of the stream. "
                "If its models pause for longer, raise Timeouts.idle.",
                provider=self._provider,
            )
            patience = limits.idle
        else:
            silence = FirstEventTimeoutError(
                f"{self._provider} sent no event within {limits.first} s of the request. If its "
                "models think for longer, raise Timeouts.first.",
                provider=self._provider,
            )
            patience = limits.first
        total = TotalTimeoutError(
            f"The stream from {self._provider} took longer than {limits.total} s in all. Raise "
            "Timeouts.total, or set it to None.",
            provider=self._provider,
        )
        return (_after(self._last, patience), silence), (_after(self._started, limits.total), total)


def _after(start: float, seconds: float | None) -> float:
    return math.inf if seconds is None else start + seconds
