"""Count requests or tokens against a limit per minute."""

from __future__ import annotations

_SECONDS = 61.0
"""The seconds over which a limit per minute is spread.

Providers count in buckets that refill all the time, or in windows of 60 seconds. With a burst of at
most one second's worth, 61 seconds keep both: no window of 60 seconds has more than the limit. The
rate is 98.4 % of the limit.
"""

_EPSILON = 1e-6
"""How much a level may lack: a sum of many small refills is not exact."""


class Bucket:
    """A bucket of units that refills all the time, at the rate of the limit.

    A request that needs more than the bucket can hold waits for a full bucket, and leaves a debt:
    the level is below 0 until enough has been refilled. So a large request is not starved, and the
    rate holds over time. All methods take the time in seconds.

    Args:
        per_minute: The limit; `None` for no limit.
        burst: How many seconds' worth may be taken at once, at least one unit.

    Attributes:
        level: The units at hand; may be below 0.
    """

    __slots__ = ("_at", "_burst", "_known", "_per_minute", "level")

    def __init__(self, per_minute: float | None, burst: float) -> None:
        self._per_minute = per_minute
        self._known: float | None = None  # the provider's own limit, from its headers
        self._burst = burst
        self._at: float | None = None
        self.level = self.capacity

    @property
    def limit(self) -> float | None:
        """The limit per minute: the smaller one of the caller's and the provider's own."""
        if self._per_minute is None or self._known is None:
            return self._known if self._per_minute is None else self._per_minute
        return min(self._per_minute, self._known)

    @property
    def rate(self) -> float:
        """The units per second; 0 without a limit."""
        return (self.limit or 0.0) / _SECONDS

    @property
    def capacity(self) -> float:
        """The most units that are refilled."""
        return max(1.0, self.rate * self._burst)

    def advance(self, now: float) -> None:
        """Refill what has come since the last call; a clock that was set back refills nothing."""
        at, self._at = self._at, now
        if at is not None and now > at and self.level < self.capacity:
            self.level = min(self.capacity, self.level + (now - at) * self.rate)

    def wait(self, now: float, amount: float) -> float:
        """Return the seconds until `amount` may be taken; 0 if it may be taken now."""
        if self.limit is None:
            return 0.0
        self.advance(now)
        lack = min(amount, self.capacity) - self.level
        return 0.0 if lack <= _EPSILON else lack / self.rate

    def take(self, now: float, amount: float) -> None:
        """Take `amount`, whether it is there or not."""
        if self.limit is not None:
            self.advance(now)
            self.level -= amount

    def put_back(self, now: float, amount: float) -> None:
        """Put back units that were taken and not used; a negative amount takes more.

        The level may then be above the capacity: the units were part of the rate when they were
        taken, and nobody has used them.
        """
        limit = self.limit
        if limit is not None:
            self.advance(now)
            self.level = min(self.level + amount, max(self.level, limit))

    def change(self, now: float, per_minute: float | None, burst: float) -> None:
        """Change the limit; the units at hand stay, as far as the new one allows."""
        self.advance(now)
        was_unlimited = self.limit is None
        self._per_minute, self._burst = per_minute, burst
        self.level = self.capacity if was_unlimited else min(self.level, self.capacity)

    def learn(self, now: float, limit: float | None, left: float | None) -> None:
        """Note what the provider says.

        Args:
            now: The time.
            limit: The provider's limit per minute; `None` if it does not say. It matters if it is
                smaller than the caller's.
            left: The most units that the provider would let pass now; `None` if it does not say.
        """
        self.advance(now)
        if limit is not None and limit > 0:
            was_unlimited = self.limit is None
            self._known = limit
            self.level = self.capacity if was_unlimited else min(self.level, self.capacity)
        if left is not None:
            self.level = min(self.level, left)
