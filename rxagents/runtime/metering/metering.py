"""Carry the limiters and ledgers of a run to the requests that it makes.

Theory of operation. A request is made far from where its limiter or budget was given: by a model,
in a turn of an agent, in a tool of another agent, under operators that retry, race or recover. A
context variable carries them there. asyncio copies the context into each task, timer and callback,
so what starts inside of a subscription finds the `Metering` of that subscription.

- `under` sets the variable while a source is subscribed to. A source that reactivex schedules on
  its trampoline is subscribed to when the outermost `subscribe` returns, so `under` has to be the
  outermost one: its users start it with a timer of the loop.
- A run sets it for each of its stages. A stage starts where the one before ended, which
  may be in a callback of other code (`AgentRun.steer`).
- An inner `Metering` adds to the outer one: a request of a sub-agent counts for both runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from msgspec import Struct

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.spending.budget import Budget
from rxagents.runtime.spending.ledger import Ledger


class Probe:
    """Notes whether a request that was made inside of another source was metered there."""

    __slots__ = ("is_metered",)

    def __init__(self) -> None:
        self.is_metered = False


class Metering(Struct, frozen=True):
    """The limiters and counters of a subscription's requests.

    Attributes:
        limiters: They wait for these.
        ledgers: They are entered in these.
        context: The user's object of the run, for `fair_by`.
        probes: To note that a request was metered.
    """

    limiters: tuple[RequestLimiter, ...] = ()
    ledgers: tuple[Ledger, ...] = ()
    context: Any = None
    probes: tuple[Probe, ...] = ()

    def with_own(
        self, limiter: RequestLimiter | None, budget: Budget | None, context: Any = None
    ) -> Metering:
        """Return the same with a limiter, a budget and a context more."""
        limiters, ledgers = self.limiters, self.ledgers
        if limiter is not None and limiter not in limiters:
            limiters = (*limiters, limiter)
        if budget is not None and all(budget.ledger is not known for known in ledgers):
            ledgers = (*ledgers, budget.ledger)
        context = self.context if context is None else context
        if (limiters, ledgers, context) == (self.limiters, self.ledgers, self.context):
            return self
        return Metering(limiters, ledgers, context, self.probes)


NONE = Metering()

_current: ContextVar[Metering] = ContextVar("rxagents_metering", default=NONE)


def current_metering() -> Metering:
    """Return the metering of the code that runs."""
    return _current.get()


@contextmanager
def under(metering: Metering) -> Iterator[None]:
    """Let what starts inside of the block be subject to `metering`."""
    token = _current.set(metering)
    try:
        yield
    finally:
        _current.reset(token)


def checked_limiter(limiter: object) -> RequestLimiter | None:
    """Return `limiter` if it is a limiter or `None`.

    Raises:
        ConfigurationError: It is something else.
    """
    if limiter is None or (isinstance(limiter, RequestLimiter) and not isinstance(limiter, type)):
        return limiter
    raise ConfigurationError(
        f"limiter must be a rxagents.Limiter, such as Limiter(requests_per_minute=60), not "
        f"{limiter!r}."
    )


def checked_budget(budget: object) -> Budget | None:
    """Return `budget` if it is a `Budget` or `None`.

    Raises:
        ConfigurationError: It is something else.
    """
    if budget is None or isinstance(budget, Budget):
        return budget
    raise ConfigurationError(
        f"budget must be a rxagents.Budget, such as Budget(tokens=100_000), not {budget!r}."
    )
