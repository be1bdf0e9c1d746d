"""Queued runs that a test ends."""

from __future__ import annotations

import reactivex as rx
from reactivex import Observable, Subject
from reactivex import operators as rx_ops

from rxagents.agents.queue import RunQueue


class Runs:
    """Makes queued runs that go on until `end`, and records their order.

    Attributes:
        started: The names of the runs that have started, in order.
        ended: The names of the runs that have ended, in order.
    """

    def __init__(self, queue: RunQueue) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self._queue = queue
        self._ends: dict[str, Subject[str]] = {}

    def of(self, key: str, name: str) -> Observable[str]:
        def start(_: object) -> Observable[str]:
            self.started.append(name)
            self._ends[name] = Subject()
            return self._ends[name].pipe(rx_ops.finally_action(lambda: self.ended.append(name)))

        return self._queue.queued(key, rx.defer(start))

    def end(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self._ends[name].on_next(name)
            self._ends[name].on_completed()
        else:
            self._ends[name].on_error(error)
