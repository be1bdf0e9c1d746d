"""Runs in a queue, which end when a test says so."""

from __future__ import annotations

import reactivex as rx
from reactivex import Observable, Subject
from reactivex import operators as rx_ops

from rxagents.agents.queue import RunQueue


class Runs:
    """Runs that go on until they are told to end, and the order in which they began."""

    def __init__(self, queue: RunQueue) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._queue = queue
        self._ends: dict[str, Subject[str]] = {}

    def of(self, key: str, name: str) -> Observable[str]:
        def begin(_: object) -> Observable[str]:
            self.begun.append(name)
            self._ends[name] = Subject()
            return self._ends[name].pipe(rx_ops.finally_action(lambda: self.ended.append(name)))

        return self._queue.queued(key, rx.defer(begin))

    def end(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self._ends[name].on_next(name)
            self._ends[name].on_completed()
        else:
            self._ends[name].on_error(error)
