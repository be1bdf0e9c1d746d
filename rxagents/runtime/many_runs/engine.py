"""Define where many runs run, and run them on this loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

from msgspec import Struct
from reactivex import Observable

from rxagents.core.errors import ConfigurationError
from rxagents.core.events import ErrorInfo, StreamEvent
from rxagents.runtime.bridge import Gate
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.metering.metering import Metering, current_metering
from rxagents.runtime.spending.cost import Cost
from rxagents.runtime.spending.ledger import Ledger


class Job(Struct, frozen=True):
    """The options that all runs of one subscription to `run_many` share.

    Attributes:
        factory: Makes the agent, once in each worker.
        concurrency: How many runs run at a time.
        attempts: How often a run may be started whose worker is lost.
        limiter: What its requests wait for; `None` for nothing.
        counts: Whether to count what requests use and cost.
        gate: Closed while the subscriber wants no more events.
        fail: Ends all runs with an error.
    """

    factory: Callable[[], Any]
    concurrency: int
    attempts: int
    limiter: RequestLimiter | None
    counts: bool
    gate: Gate
    fail: Callable[[BaseException], None]


class RunState:
    """One run: its key and input, and what is known of it.

    Attributes:
        key: Its key.
        value: Its input.
        attempts: How often it was started.
        cost: What its requests have used; the engine sets it before the stream ends.
        is_durable: Whether an event log may go on with it; the engine sets it.
        error: What it failed with on a worker, as data: the exception may be of any class there.
        metering: What its requests on this loop are subject to.
    """

    __slots__ = ("_ledger", "attempts", "cost", "error", "is_durable", "key", "metering", "value")

    def __init__(self, key: str, value: Any) -> None:
        self.key = key
        self.value = value
        self.attempts = 0
        self.is_durable = False
        self.cost: Cost | None = None
        self.error: ErrorInfo | None = None
        self.metering = current_metering()
        self._ledger: Ledger | None = None

    def meter(self, limiter: RequestLimiter | None, *, counts: bool) -> None:
        """Let the requests on this loop wait for the limiter, and count them."""
        metering = current_metering().with_own(limiter, None, self.key)
        if counts:
            self._ledger = Ledger({})
            ledgers = (*metering.ledgers, self._ledger)
            metering = Metering(metering.limiters, ledgers, self.key, metering.probes)
        self.metering = metering

    @property
    def total_cost(self) -> Cost:
        """The usage and cost of its requests so far."""
        if self._ledger is not None:
            return self._ledger.cost
        return self.cost or Cost()


class Session(Protocol):
    """The runs of one subscription on an engine."""

    def stream(self, run: RunState) -> Observable[StreamEvent]:
        """Return the events of one run, which starts when it is subscribed to.

        Raises:
            Exception: The run cannot start; the others can.
        """
        ...

    async def aclose(self) -> None:
        """End all runs, and release what was opened."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Where the runs of `run_many` run."""

    async def open(self, job: Job) -> Session:
        """Prepare for runs.

        Raises:
            ConfigurationError: The factory cannot be used here.
        """
        ...


class Target:
    """Makes streams of inputs, with the agent that a factory makes when it is first needed.

    Args:
        factory: Returns an agent, or a function from an input to a stream of events.

    Attributes:
        is_agent: Whether it has returned an agent. The stream of a function may be several runs,
            of which a checkpoint does not say which one it is of.
    """

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._factory = factory
        self._make: Callable[[Any], Any] | None = None
        self.is_agent = False

    def stream(self, value: Any) -> Observable[StreamEvent]:
        """Return the events of the run for one input.

        Raises:
            Exception: What the factory or the agent raises. The next call calls the factory again.
        """
        if self._make is None:
            made = self._factory()
            self.is_agent = hasattr(made, "run_stream")
            make = made.run_stream if self.is_agent else made
            if not callable(make):
                raise ConfigurationError(
                    "The factory of run_many must return an agent, or a function that takes an "
                    f"input and returns a stream of events, not {type(made).__name__}."
                )
            self._make = make
        stream = self._make(value)
        if not isinstance(stream, Observable):
            raise ConfigurationError(
                "The function that the factory of run_many returned must return an Observable of "
                f"events, not {type(stream).__name__}."
            )
        return cast("Observable[StreamEvent]", stream)


class LoopEngine:
    """Runs on the running loop."""

    async def open(self, job: Job) -> LoopSession:
        """Prepare for runs."""
        return LoopSession(job)


class LoopSession:
    """The runs of one subscription on the running loop."""

    def __init__(self, job: Job) -> None:
        self._target = Target(job.factory)
        self._job = job

    def stream(self, run: RunState) -> Observable[StreamEvent]:
        """Return the events of one run."""
        run.attempts = 1
        run.meter(self._job.limiter, counts=self._job.counts)
        stream = self._target.stream(run.value)
        run.is_durable = self._target.is_agent
        return stream

    async def aclose(self) -> None:
        """Do nothing: there is nothing open."""
