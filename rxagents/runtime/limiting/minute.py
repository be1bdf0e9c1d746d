"""Sum the tokens of the last minute, as they are known by now."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

_SECONDS = 60.5
"""A minute, and half a second by which requests may arrive earlier or later than others."""

_LEAST_WAIT = 1e-6


class Taken(Struct):
    """What a request has taken.

    Attributes:
        at: When.
        tokens: The tokens that it has reserved.
        requests_before: How many requests had been sent, with this one.
        tokens_before: How many tokens they had reserved.
        counted: The tokens that it counts in its minute: those reserved, and then those used.
        is_recent: Whether it is one of the last minute.
    """

    at: float
    tokens: int
    requests_before: int
    tokens_before: int
    counted: int = 0
    is_recent: bool = False


class Minute:
    """The tokens of the requests that were sent in the last minute.

    A bucket alone does not keep a limit of tokens: what a request gives back when it has ended may
    have been taken minutes ago, and would be used in addition to the minute's own.
    """

    __slots__ = ("_requests", "total")

    def __init__(self) -> None:
        self.total = 0
        self._requests: deque[Taken] = deque()

    def wait(self, now: float, tokens: int, limit: float) -> float:
        """Return the seconds until something changes; 0 if `tokens` fit below the limit now."""
        requests = self._requests
        while requests and not now - _SECONDS < requests[0].at <= now:
            old = requests.popleft()
            old.is_recent = False
            self.total -= old.counted
        if not requests or self.total + tokens <= limit:
            return 0.0
        # The difference may be rounded to 0, which would mean that the request may be sent.
        return max(_LEAST_WAIT, requests[0].at + _SECONDS - now)

    def add(self, taken: Taken) -> None:
        """Count a request that is sent."""
        taken.counted, taken.is_recent = taken.tokens, True
        self.total += taken.tokens
        self._requests.append(taken)

    def correct(self, taken: Taken, used: int) -> None:
        """Count what a request has used in place of what it had reserved."""
        if taken.is_recent:
            self.total += used - taken.counted
            taken.counted = used
