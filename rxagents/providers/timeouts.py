"""Limit the time of a stream, phase by phase."""

from __future__ import annotations

import asyncio
import functools
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
from rxagents.runtime.bridge import Gate
from rxagents.runtime.idle_clock import IdleClock, LoopTimer


class Timeouts(Struct, frozen=True, kw_only=True):
    """Limit the seconds of each phase of a stream; `None` is no limit.

    The defaults allow long answers: reasoning models are silent for minutes, and a healthy stream
    may run for an hour.

    Attributes:
        connect: Name lookup, connection and TLS.
        first: From the request to the first event.
        idle: From one event to the next. Comments are no events. The time in which a slow
            consumer holds the stream does not count.
        total: The whole stream, with its retries and a slow consumer's time.

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
        """Make `Timeouts` of a user's argument.

        Args:
            timeout: `Timeouts`, or seconds for `first` and `idle`, or `None` for the defaults.

        Raises:
            ConfigurationError: `timeout` is not a positive number.
        """
        if isinstance(timeout, Timeouts):
            return timeout
        return cls() if timeout is None else cls(first=timeout, idle=timeout)


class Watchdog:
    """Cancels the current task when its next event is overdue, and raises a typed error instead.

    Enter it around the request and the reading of its response.

    Args:
        timeouts: The limits; `first` and `idle` apply.
        provider: The provider's name, for errors.
        gate: Closed while the consumer has enough, which stops the clock.

    Attributes:
        clock: The reader notes each event in it.
    """

    __slots__ = ("_cancelled_before", "_expired", "_provider", "_task", "_timeouts",
                 "clock")  # fmt: skip

    def __init__(self, timeouts: Timeouts, provider: str, gate: Gate) -> None:
        loop = asyncio.get_running_loop()
        self.clock = IdleClock(
            loop.time,
            functools.partial(LoopTimer, loop),
            gate,
            self._expire,
            first=timeouts.first,
            idle=timeouts.idle,
        )
        self._timeouts = timeouts
        self._provider = provider
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "the library's coroutines run in tasks"
        self._task = task
        self._cancelled_before = task.cancelling()
        self.clock.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clock.stop()
        if not self._expired:
            return
        # As asyncio.timeout does it: a cancellation from elsewhere goes on.
        others = self._task.uncancel() > self._cancelled_before
        if kind is not None and issubclass(kind, asyncio.CancelledError) and not others:
            raise self._overdue() from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def _overdue(self) -> StreamTimeoutError:
        if self.clock.has_event:
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
