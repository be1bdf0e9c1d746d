"""Limit the time of a stream, phase by phase."""

from __future__ import annotations

import asyncio
import functools
from types import TracebackType
from typing import Self

from rxagents.core.errors import FirstEventTimeoutError, IdleTimeoutError, StreamTimeoutError
from rxagents.core.timeouts import Timeouts
from rxagents.runtime.bridge import Gate
from rxagents.runtime.idle_clock import IdleClock, LoopTimer


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
