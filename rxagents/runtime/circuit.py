"""Keep away from a stream that has failed several times in a row.

Theory of operation. Three states:

    closed      the source is used; `failures` failures in a row open the circuit
    open        the source is not used, until `reset_after` seconds have passed
    half_open   one subscription at a time tries the source: success closes the circuit, failure
                opens it again

Each change of state starts a new generation. A verdict of an earlier generation is ignored: a slow
request that began before the circuit opened says nothing about the source now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Lock
from typing import Literal, TypeAlias

from reactivex import abc
from reactivex.scheduler import VirtualTimeScheduler

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import ConfigurationError

CircuitState: TypeAlias = Literal["closed", "open", "half_open"]


class Circuit:
    """Opens after several failures of a stream in a row, so that it is not asked for a while.

    Give one object to all `fallback_to(…, circuit=…)` whose source is the same host or model. While
    it is open, they subscribe to the other stream at once. After `reset_after` seconds one
    subscription tries the source; if it succeeds, the circuit closes. A stream succeeds when it
    completes, or is disposed after content; one that is disposed before content says nothing.

    Args:
        failures: How many failures in a row open the circuit.
        reset_after: Seconds until the source is tried again. The time is the running loop's, or a
            virtual scheduler's.

    Raises:
        ConfigurationError: An argument has the wrong type or value.
    """

    def __init__(self, *, failures: int = 5, reset_after: float = 30.0) -> None:
        self._most_failures = checked_count("failures", failures)
        self._reset_after = checked_seconds("reset_after", reset_after)
        self._lock = Lock()
        self._clock: Callable[[], float] = _loop_time
        self._generation = 0
        self._failures = 0
        self._opened_at: float | None = None
        self._is_tried = False

    @property
    def state(self) -> CircuitState:
        """`"closed"`, `"open"` or `"half_open"`: the next subscription, or a running one, tries."""
        if self._opened_at is None:
            return "closed"
        return "open" if self.opens_in else "half_open"

    @property
    def failures(self) -> int:
        """How many failures have come in a row."""
        return self._failures

    @property
    def opens_in(self) -> float:
        """Seconds until the source is tried again; 0 unless the circuit is open."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._reset_after - self._clock())

    def enter(self, scheduler: abc.SchedulerBase | None) -> CircuitCall | None:
        """Return a call, whose end must be given to it; `None` if the source must not be used."""
        with self._lock:
            self._clock = _clock_of(scheduler)
            if self._opened_at is not None:
                if self._is_tried or self.opens_in:
                    return None
                self._is_tried = True
                self._generation += 1
            return CircuitCall(self, self._generation)

    def end(self, generation: int, *, has_failed: bool | None) -> None:
        """Note how a call ended; `None` if that says nothing about the source."""
        with self._lock:
            if generation != self._generation:
                return
            is_trial, self._is_tried = self._is_tried, False
            if has_failed is None:
                return
            self._failures = self._failures + 1 if has_failed else 0
            if has_failed and (is_trial or self._failures >= self._most_failures):
                self._opened_at = self._clock()
                self._generation += 1
            elif is_trial:
                self._opened_at = None
                self._generation += 1

    def __repr__(self) -> str:
        return f"Circuit(state={self.state!r}, failures={self.failures})"


class CircuitCall:
    """One subscription of the source; the first end counts."""

    __slots__ = ("_circuit", "_generation", "_has_ended")

    def __init__(self, circuit: Circuit, generation: int) -> None:
        self._circuit = circuit
        self._generation = generation
        self._has_ended = False

    def end(self, *, has_failed: bool | None) -> None:
        """Note how the call ended; `None` if that says nothing about the source."""
        if not self._has_ended:
            self._has_ended = True
            self._circuit.end(self._generation, has_failed=has_failed)


def checked_circuit(value: object) -> Circuit | None:
    """Return `value` if it is a circuit or `None`.

    Raises:
        ConfigurationError: It is neither.
    """
    if value is not None and not isinstance(value, Circuit):
        raise ConfigurationError(
            f"circuit must be an rxagents.Circuit, not {type(value).__name__}."
        )
    return value


def _clock_of(scheduler: abc.SchedulerBase | None) -> Callable[[], float]:
    if isinstance(scheduler, VirtualTimeScheduler):
        return lambda: scheduler.to_seconds(scheduler.now)
    return _loop_time


def _loop_time() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()  # which is the time of asyncio's loops too
