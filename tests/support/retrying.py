"""Cold sources for the tests of `retry_with_backoff`."""

from __future__ import annotations

from typing import Any

import reactivex as rx
from observing import pending
from reactivex import Observable
from reactivex.testing import TestScheduler

from rxagents import operators as ops


class Attempts:
    """One cold source per subscription, and the times of the subscriptions."""

    def __init__(self, scheduler: TestScheduler, *scripts: list[Any]) -> None:
        self.starts: list[float] = []
        self.sources = [scheduler.create_cold_observable(*script) for script in scripts]
        self._scheduler = scheduler

    def stream(self) -> Observable[Any]:
        def next_attempt(_: Any) -> Observable[Any]:
            self.starts.append(self._scheduler.to_seconds(self._scheduler.now))
            return self.sources[min(len(self.starts), len(self.sources)) - 1]

        return rx.defer(next_attempt)


def retried(
    scheduler: TestScheduler, attempts: Attempts, disposed: float = 1000, **arguments: Any
) -> list[Any]:
    given = {"first_wait": 10, "longest_wait": 1000, "jitter": 0, **arguments}
    observer: Any = scheduler.start(
        lambda: attempts.stream().pipe(ops.retry_with_backoff(**given)), disposed=disposed
    )
    assert not pending(scheduler)
    messages: list[Any] = observer.messages
    return messages
