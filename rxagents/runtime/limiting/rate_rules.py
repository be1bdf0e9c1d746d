"""Decide when a request may be sent: the limits per minute, at a time, and after a refusal."""

from __future__ import annotations

import math

from msgspec import Struct

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.runtime.limiting.bucket import Bucket
from rxagents.runtime.limiting.headers import Seen
from rxagents.runtime.limiting.minute import Minute, Taken


class Rates(Struct, frozen=True, kw_only=True):
    """The limits of a `Limiter`; `None` for no limit.

    Raises:
        ConfigurationError: A value is not usable.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    burst: float = 0.5

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "concurrent"):
            if getattr(self, name) is not None:
                checked_count(name, getattr(self, name))
        checked_seconds("burst", self.burst, zero=True)


class RateRules:
    """The rules of a limiter, without a clock of their own: each method takes the time.

    Args:
        rates: The limits.

    Attributes:
        in_flight: The number of requests that were sent and have not ended.
        requests: The bucket of requests.
        tokens: The bucket of tokens. It sets the pace; no minute has more than the limit.
    """

    __slots__ = ("_held_until", "_last", "_minute", "_rates", "_sent_requests", "_sent_tokens",
                 "in_flight", "requests", "tokens")  # fmt: skip

    def __init__(self, rates: Rates) -> None:
        self.in_flight = 0
        self.requests = Bucket(rates.requests_per_minute, rates.burst)
        self.tokens = Bucket(rates.tokens_per_minute, rates.burst)
        self._rates = rates
        self._minute = Minute()
        self._held_until = -math.inf
        self._last = -math.inf
        self._sent_requests = 0
        self._sent_tokens = 0

    @property
    def rates(self) -> Rates:
        """The limits; `change` sets them."""
        return self._rates

    def change(self, now: float, rates: Rates) -> None:
        """Use other limits from now on."""
        self._rates = rates
        self.requests.change(now, rates.requests_per_minute, rates.burst)
        self.tokens.change(now, rates.tokens_per_minute, rates.burst)

    def wait(self, now: float, tokens: int) -> float:
        """Return the seconds until a request may be sent: 0 for now, inf until another one ends."""
        if now < self._last:
            self._held_until = -math.inf  # the clock of another loop: the old time says nothing
        self._last = now
        if self._rates.concurrent is not None and self.in_flight >= self._rates.concurrent:
            return math.inf
        limit = self.tokens.limit
        return max(
            0.0,
            self._held_until - now,
            self.requests.wait(now, 1),
            self.tokens.wait(now, tokens),
            0.0 if limit is None else self._minute.wait(now, tokens, limit),
        )

    def take(self, now: float, tokens: int) -> Taken:
        """Note that a request is sent."""
        self.in_flight += 1
        self.requests.take(now, 1)
        self.tokens.take(now, tokens)
        self._sent_requests += 1
        self._sent_tokens += tokens
        taken = Taken(now, tokens, self._sent_requests, self._sent_tokens)
        if self.tokens.limit is not None:
            self._minute.add(taken)
        return taken

    def settle(self, now: float, taken: Taken, used: int | None) -> None:
        """Note that a request has ended, and the tokens that it has used in fact."""
        self.in_flight -= 1
        if used is not None:
            self.tokens.put_back(now, taken.tokens - used)
            self._minute.correct(taken, used)

    def give_back(self, now: float, taken: Taken) -> None:
        """Note that a request was not sent after all."""
        self.in_flight -= 1
        self.requests.put_back(now, 1)
        self.tokens.put_back(now, taken.tokens)
        self._minute.correct(taken, 0)

    def hold(self, now: float, seconds: float) -> None:
        """Send nothing for some seconds."""
        self._held_until = max(self._held_until, now + seconds)

    def learn(self, now: float, taken: Taken, seen: dict[str, Seen]) -> None:
        """Note what the provider said in its response to a request.

        It said so when that request arrived. Later requests are not in it, nor what was refilled.
        """
        elapsed = max(0.0, now - taken.at)
        later = {
            "requests": self._sent_requests - taken.requests_before,
            "tokens": self._sent_tokens - taken.tokens_before,
        }
        buckets = {"requests": self.requests, "tokens": self.tokens}
        for what, said in seen.items():
            bucket = buckets[what]
            bucket.learn(now, said.limit, None)
            if said.left is not None:
                left = said.left - later[what] + elapsed * bucket.rate
                bucket.learn(now, None, left)

    def refused(self, now: float, wait: float | None) -> None:
        """Note that the provider refused a request; wait as long as it says, or for one unit."""
        if wait is not None:
            self.hold(now, wait)
        elif self.requests.limit is not None:
            self.requests.learn(now, None, 0.0)
