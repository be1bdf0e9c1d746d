"""Let requests wait until a provider's limits allow them.

Theory of operation. Three parts, and only this module knows asyncio:

- `RateRules` decides: it has two buckets (requests and tokens), a count of the requests in flight,
  and a time before which nothing is sent (`retry-after`). It takes the time as an argument.
- `FairLine` orders those who wait: the keys take turns.
- `Limiter` lets them wait. `acquire` sends at once if nobody waits and the rules allow it, without
  a task switch. Otherwise the task waits for a future in the line. `_pump` wakes whose turn it is,
  as long as the rules allow; then it starts one timer for the next one. It runs whenever something
  changes: a waiter comes or leaves, a request ends, the provider says something, `change`, the
  timer.

The first in the line blocks the others, also if it needs more tokens than they: else small requests
would starve it. A waiter whose task is cancelled leaves the line in its `except`. It may have been
woken in the same turn of the loop; then it gives its place back, for the next one.

A provider says in its headers what is left. That is right for the moment at which the request
arrived there: `RateRules.learn` subtracts what was sent since, and adds what was refilled since.
Without the second, a limit of 60 a minute loses the time of a response for each request.

A request reserves the most that it may use. An average of earlier answers instead was tried: short
answers end first, so that the average begins too low, and a minute had up to 2.3 times its tokens.

What must not change: time is `loop.time()`, which a loop in virtual time sets; a request reserves
before it is sent, and settles when it has ended. A limiter belongs to one running loop at a time;
one loop after the other may use it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import TypedDict, Unpack

from msgspec.structs import replace

from rxagents.core.argument_names import check_names
from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.limiting.fair_line import FairLine
from rxagents.runtime.limiting.headers import seconds_to_reset, seen_limits
from rxagents.runtime.limiting.limiter_state import LimiterState
from rxagents.runtime.limiting.minute import Taken
from rxagents.runtime.limiting.protocol import LimitedRequest
from rxagents.runtime.limiting.rate_rules import RateRules, Rates
from rxagents.runtime.loop import running_loop


class RateArguments(TypedDict, total=False):
    """The limits of a `Limiter`, which documents them."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    burst: float


class Limiter:
    """Lets requests wait, so that a provider's rate limits are kept.

    Give it to models or to runs as `limiter=`; all that share it share its limits. Each attempt
    waits before it is sent, also a retried one, and no timeout but `Timeouts.total` runs meanwhile.
    It reserves an estimate of its tokens and settles with the real usage when it has ended. The
    estimate is a token for four characters of the messages and of the tools' schemas, 1,000 for
    each image, and `max_tokens` for the answer, or 1,000 where the request has none.

    The provider's `x-ratelimit-*` and `anthropic-ratelimit-*` headers lower the limits, and a
    `retry-after` holds all requests back.

    Args:
        requests_per_minute: The most requests per minute; `None` for no limit but the provider's.
        tokens_per_minute: The most tokens per minute, of input and output; `None` likewise.
        concurrent: The most requests at a time; `None` for no limit.
        burst: How many seconds' worth of the limits may be sent at once after a pause. Providers
            may count a limit per minute by the second, so it is 0.5.
        fair_by: Returns the key of a request, such as its user: the keys take turns. It is called
            in the context of the request, so a context variable may hold the user. `None` to
            serve all in order of arrival.

    Raises:
        ConfigurationError: An argument is not usable.

    Example:
        >>> import rxagents
        >>> from rxagents.testing import ScriptedLLM
        >>> limiter = rxagents.Limiter(requests_per_minute=6000)
        >>> llm = ScriptedLLM("Hello", limiter=limiter)
        >>> rxagents.run(llm.complete_stream("Hi")).finish_reason
        'stop'
        >>> limiter.state().in_flight
        0
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        concurrent: int | None = None,
        burst: float = 0.5,
        fair_by: Callable[[LimitedRequest], Hashable] | None = None,
    ) -> None:
        rates = Rates(
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            concurrent=concurrent,
            burst=burst,
        )
        self._fair_by = None if fair_by is None else checked_function("fair_by", fair_by)
        self._rules = RateRules(rates)
        self._line: FairLine[_Waiter] = FairLine()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now = 0.0

    def change(self, **rates: Unpack[RateArguments]) -> None:
        """Change the limits that are given, also while requests wait.

        Raises:
            ConfigurationError: A limit is unknown or not usable.
        """
        check_names("Limiter.change", rates, RateArguments.__optional_keys__)
        self._rules.change(self._time(), replace(self._rules.rates, **rates))
        self._pump()

    def state(self) -> LimiterState:
        """Return what waits, what runs, and what is left."""
        now, rules = self._time(), self._rules
        first = self._line.first()
        wait = rules.wait(now, 1 if first is None else first.tokens)
        rules.requests.advance(now)
        rules.tokens.advance(now)
        return LimiterState(
            dict(self._line.counts()),
            rules.in_flight,
            None if rules.requests.limit is None else max(0, math.floor(rules.requests.level)),
            None if rules.tokens.limit is None else math.floor(rules.tokens.level),
            wait,
        )

    async def acquire(self, request: LimitedRequest) -> LimiterPermit:
        """Wait until a request may be sent."""
        loop = self._checked_loop()
        key = None if self._fair_by is None else _checked_key(self._fair_by(request))
        now, tokens = self._time(), request.tokens
        if not self._line and self._rules.wait(now, tokens) <= 0:
            return LimiterPermit(self, self._rules.take(now, tokens))
        waiter = _Waiter(tokens, loop.create_future())
        self._line.add(key, waiter)
        self._pump()
        try:
            return LimiterPermit(self, await waiter.turn)
        except BaseException:
            self._line.remove(key, waiter)
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._rules.give_back(self._time(), waiter.turn.result())
            self._pump()
            raise

    def __repr__(self) -> str:
        return f"Limiter({self._rules.rates!r})"

    def _checked_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, which is the limiter's from now on.

        Raises:
            ConfigurationError: Requests of another loop, which runs on another thread, wait or run.
        """
        loop, known = running_loop(), self._loop
        is_busy = bool(self._line) or self._rules.in_flight > 0
        if known is not None and known is not loop and known.is_running() and is_busy:
            raise ConfigurationError(
                "This Limiter is in use by the event loop of another thread. Use one Limiter for "
                "each loop, or call agents from tools that are async functions."
            )
        self._loop = loop
        return loop

    def _time(self) -> float:
        """Return the running loop's time; outside of a loop the last one that was seen."""
        with suppress(RuntimeError):
            self._now = asyncio.get_running_loop().time()
        return self._now

    def _pump(self) -> None:
        """Wake those who may send now, and start the timer for the next one."""
        now = self._time()
        wait = math.inf
        while (waiter := self._line.first()) is not None:
            if waiter.turn.done():  # its task is cancelled, and has not run since
                self._line.pop()
                continue
            wait = self._rules.wait(now, waiter.tokens)
            if wait > 0:
                break
            self._line.pop()
            waiter.turn.set_result(self._rules.take(now, waiter.tokens))
            wait = math.inf
        self._start_timer(now + wait)

    def _start_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at < math.inf:
            try:
                self._timer = asyncio.get_running_loop().call_at(at, self._pump)
            except RuntimeError:
                return  # `change` outside of a loop: nobody waits there

    def _ended(self, taken: Taken, tokens: int | None) -> None:
        self._rules.settle(self._time(), taken, tokens)
        self._pump()

    def _not_sent(self, taken: Taken) -> None:
        self._rules.give_back(self._time(), taken)
        self._pump()

    def _learn(self, taken: Taken, headers: Mapping[str, str]) -> None:
        seen = seen_limits(headers)
        if seen:
            self._rules.learn(self._time(), taken, seen)
            self._pump()

    def _refused(self, wait: float | None) -> None:
        self._rules.refused(self._time(), wait)
        self._pump()


class LimiterPermit:
    """The permission of a `Limiter` to send one request."""

    __slots__ = ("_limiter", "_reset", "_taken")

    def __init__(self, limiter: Limiter, taken: Taken) -> None:
        self._limiter = limiter
        self._taken: Taken | None = taken
        self._reset: float | None = None

    def learn(self, headers: Mapping[str, str]) -> None:
        """Read the provider's limits from the headers of the response."""
        self._reset = seconds_to_reset(headers)
        if self._taken is not None:
            self._limiter._learn(self._taken, headers)  # noqa: SLF001 - its own

    def refused(self, retry_after: float | None) -> None:
        """Hold back all requests."""
        wait = self._reset if retry_after is None else retry_after
        self._limiter._refused(wait)  # noqa: SLF001 - its own

    def settle(self, tokens: int | None) -> None:
        """End the request, which has used `tokens`."""
        taken, self._taken = self._taken, None
        if taken is not None:
            self._limiter._ended(taken, tokens)  # noqa: SLF001 - its own

    def give_back(self) -> None:
        """End a request that was not sent."""
        taken, self._taken = self._taken, None
        if taken is not None:
            self._limiter._not_sent(taken)  # noqa: SLF001 - its own


class _Waiter:
    """A task in the line."""

    __slots__ = ("tokens", "turn")

    def __init__(self, tokens: int, turn: asyncio.Future[Taken]) -> None:
        self.tokens = tokens
        self.turn = turn


def _checked_key(key: Hashable) -> Hashable:
    try:
        hash(key)
    except TypeError:
        raise ConfigurationError(
            f"fair_by must return a key that is hashable, such as a str, not {key!r}."
        ) from None
    return key
