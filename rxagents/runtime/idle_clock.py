"""Act when a stream has been silent for too long, with one timer a stream.

Theory of operation. A stream may carry thousands of events a second, and a timer moved at each
would cost more than the event. So `note` stores the time of the last event and leaves the timer
alone. When the timer fires, `_look` compares that time with the clock: it either starts the timer
for the rest of the wait or calls `expire`. A stream of any length costs one timer a wait.

There are two waits, and the first `note` changes one for the other: `first` seconds for the first
event, `idle` seconds for each further one. The timer starts with the shorter one and serves both: a
timer that was cancelled would stay in the loop's heap, with what it refers to.

The time in which the consumer has enough (its gate is closed) does not count: nobody reads then,
and the silence is the consumer's. A reader at a closed gate calls `pause_until_open`, as
`_look` does; the wait starts anew when the gate opens. What must not change: `note` is called for
every network read and every item, and may do no more than it does.

A loop that was busy for long finds its timers due before it has read what arrived meanwhile. So a
timer that fires late by more than `_HELD_SECONDS` waits `_GRACE_SECONDS` once more, once for each
event, before it counts as expired. Timers in virtual time, and on a loop that was not busy, expire
exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from rxagents.runtime.bridge import Gate

_RESOLUTION = 1e-6
"""Seconds. Sums of times miss by a rounding error, and virtual time has no finer step."""

_HELD_SECONDS = 0.002
"""asyncio's selector loops round the time of a timer up to a whole millisecond: what is later than
that is a loop that was busy."""

_GRACE_SECONDS = 0.05


class OneShotTimer(Protocol):
    """A timer that calls its action once for each `start`."""

    def start(self, seconds: float) -> None:
        """Call the action after `seconds`, and not at a time asked for earlier."""
        ...

    def stop(self) -> None:
        """Do not call the action."""
        ...


class LoopTimer:
    """A `OneShotTimer` on an event loop; use it on the loop's thread.

    Args:
        loop: The running loop.
        action: Called when the time is over.
    """

    __slots__ = ("_action", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        self._loop = loop
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Call the action after `seconds`, and not at a time asked for earlier."""
        self.stop()
        self._handle = self._loop.call_later(seconds, self._action)

    def stop(self) -> None:
        """Do not call the action."""
        if self._handle is not None:
            self._handle.cancel()


class IdleClock:
    """Calls `expire` once when no event was noted for too long.

    Args:
        now: Returns the time in seconds, from any start.
        make_timer: Makes the timer of this clock, in the same time as `now`.
        gate: Closed while the consumer has enough.
        expire: Called when the time is over.
        first: Seconds from `start` to the first event; `None` for no limit.
        idle: Seconds from one event to the next; `None` for no limit.

    Attributes:
        has_event: Whether an event was noted.
    """

    __slots__ = ("_expire", "_gate", "_idle", "_is_paused", "_last", "_last_with_grace", "_now",
                 "_seconds", "_timer", "has_event")  # fmt: skip

    def __init__(
        self,
        now: Callable[[], float],
        make_timer: Callable[[Callable[[], None]], OneShotTimer],
        gate: Gate,
        expire: Callable[[], None],
        *,
        first: float | None,
        idle: float | None,
    ) -> None:
        self.has_event = False
        self._now = now
        self._timer = make_timer(self._look)
        self._gate = gate
        self._expire = expire
        self._seconds = first
        self._idle = idle
        self._last = 0.0
        self._last_with_grace: float | None = None
        self._is_paused = False

    def start(self) -> None:
        """Start to wait for the first event."""
        self._last = self._now()
        if self._seconds is not None:
            idle = self._seconds if self._idle is None else self._idle
            self._timer.start(min(self._seconds, idle))

    def note(self) -> None:
        """Note an event: the wait for the next one starts."""
        self._last = self._now()
        if not self.has_event:
            self.has_event = True
            self._wait_for_next()

    def pause_until_open(self) -> None:
        """Stand still until the gate opens, and start the wait anew then."""
        if not self._is_paused:
            self._is_paused = True
            self._gate.when_open(self._resume)

    def stop(self) -> None:
        """Wait no more."""
        self._timer.stop()

    def _wait_for_next(self) -> None:
        if self._seconds is None and self._idle is not None:
            self._timer.start(self._idle)
        elif self._idle is None:
            self._timer.stop()
        self._seconds = self._idle  # else the timer fires within `idle` seconds of the start

    def _resume(self) -> None:
        self._is_paused = False
        self._last = self._now()

    def _look(self) -> None:
        """Start the timer for the rest of the wait, or expire."""
        assert self._seconds is not None, "the timer runs only where there is a limit"
        now = self._now()
        if self._gate.closed:
            self.pause_until_open()
            self._last = now
        overdue = now - self._last - self._seconds
        if overdue < -_RESOLUTION:
            self._timer.start(-overdue)
        elif overdue > _HELD_SECONDS and self._last_with_grace != self._last:
            self._last_with_grace = self._last
            self._timer.start(_GRACE_SECONDS)
        else:
            self._expire()
