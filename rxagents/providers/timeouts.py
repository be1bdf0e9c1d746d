"""How long a stream may take, by phase."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self

from msgspec import Struct

from rxagents.core.errors import (
    ConfigurationError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    StreamTimeoutError,
)


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds a stream may take, by phase; `None` for no limit.

    The defaults suit long answers: reasoning models are silent for minutes, and a healthy stream
    may go on for an hour.

    Attributes:
        connect: Name lookup, connection and TLS.
        first: From the request to the first event.
        idle: From one event to the next; comments do not count, nor does the time in which a
            slow consumer holds the stream.
        total: The whole stream, retries and slow consumer and all.

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


_GRACE_SECONDS = 0.02
"""Where the loop itself was held, the overdue event may wait in the socket: it is read first."""


class Watchdog:
    """Ends the current task with a typed error when the next event is overdue.

    One timer a stream, not one a chunk: events only note the time, and the timer looks at it.

    Args:
        timeouts: The limits.
        provider: The provider's name, for errors.

    Attributes:
        paused: While set, the clock stands still: it is the consumer who takes the time.
    """

    __slots__ = ("_cancelled_before", "_expired", "_last", "_loop", "_provider", "_seen_event",
                 "_task", "_timeouts", "_timer", "_warned", "paused")  # fmt: skip

    def __init__(self, timeouts: Timeouts, provider: str) -> None:
        self.paused = False
        self._timeouts = timeouts
        self._provider = provider
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._seen_event = False
        self._warned = False
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    def note_event(self) -> None:
        """An event has come: the clock starts again."""
        self._last = self._loop.time()
        self._warned = False
        if not self._seen_event:
            self._seen_event = True
            self._look()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "the library's coroutines run in tasks"
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
        if not self._expired:
            return
        others = self._task.uncancel() > self._cancelled_before
        if kind is not None and issubclass(kind, asyncio.CancelledError) and not others:
            raise self._overdue() from error

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        patience = self._timeouts.idle if self._seen_event else self._timeouts.first
        if patience is None:
            return
        now = self._loop.time()
        if self.paused:
            self._last = now
        if now < self._last + patience:
            self._timer = self._loop.call_at(self._last + patience, self._look)
        elif not self._warned:
            self._warned = True
            self._timer = self._loop.call_later(_GRACE_SECONDS, self._look)
        else:
            self._expired = True
            self._task.cancel()

    def _overdue(self) -> StreamTimeoutError:
        if self._seen_event:
            return IdleTimeoutError(
                f"{self._provider} sent no event for {self._timeouts.idle} s in the middle of the "
                "stream. If its models pause for longer, raise Timeouts.idle.",
                provider=self._provider,
            )
        return FirstEventTimeoutError(
            f"{self._provider} sent no event within {self._timeouts.first} s of the request. If "
            "its models think for longer, raise Timeouts.first.",
            provider=self._provider,
        )
