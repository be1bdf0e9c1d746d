"""Patience with a stream: one timer, however many items come."""

from __future__ import annotations

from collections.abc import Callable

from rxagents.runtime.timed_scope import TimedScope

_RESOLUTION = 1e-6
"""Times add up to less than they should by a rounding error, and virtual time has no finer step."""

_HELD_SECONDS = 0.01
_GRACE_SECONDS = 0.05
"""A loop that was held finds its timers due before what has arrived meanwhile: a timer that is
more than the first figure late waits once more, for the second."""


class Deadline:
    """Acts when nothing was noted for a while.

    The time in which the subscriber had enough does not count: when it wants more, the wait
    begins anew.

    Args:
        scope: The subscription.
        seconds: How long to wait after `start` and after each `note`.
        expire: What to do then.
    """

    __slots__ = (
        "_expire",
        "_gate",
        "_is_watching",
        "_late",
        "_now",
        "_seconds",
        "_since",
        "_timer",
    )

    def __init__(self, scope: TimedScope, seconds: float, expire: Callable[[], None]) -> None:
        self._gate = scope.gate
        self._is_watching = False
        self._seconds = seconds
        self._expire = expire
        self._now = scope.now
        self._since = 0.0
        self._late = False
        self._timer = scope.timer(self._look)

    def start(self) -> None:
        """Begin to wait."""
        self.note()
        self._timer.start(self._seconds)

    def note(self) -> None:
        """Begin anew: something came, and was taken. Cheap, since the timer stays as it is."""
        self._since = self._now()
        self._late = False
        if self._gate.closed and not self._is_watching:
            self._is_watching = True
            self._gate.when_open(self._resume)

    def stop(self) -> None:
        """Wait no more."""
        self._timer.stop()

    def _resume(self) -> None:
        self._is_watching = False
        self.note()

    def _look(self) -> None:
        if self._gate.closed:
            self.note()
        overdue = self._now() - self._since - self._seconds
        if overdue < -_RESOLUTION:
            self._timer.start(-overdue)
        elif overdue > _HELD_SECONDS and not self._late:
            self._late = True
            self._timer.start(_GRACE_SECONDS)
        else:
            self._expire()
