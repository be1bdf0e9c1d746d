"""A hot source and a short form of replayed items, for the tests of `replay_bounded`."""

from __future__ import annotations

from typing import Any

import reactivex as rx
from reactivex import Observable
from reactivex.subject import Subject

from rxagents import operators as ops
from rxagents.operators import Replayed


class Live:
    """A source that emits on request, and counts its subscriptions."""

    def __init__(self, capacity: int, **arguments: Any) -> None:
        self.subject: Subject[Any] = Subject()
        self.started = 0

        def source(observer: Any, scheduler: Any = None) -> Any:
            self.started += 1
            return self.subject.subscribe(observer, scheduler=scheduler)

        self.replayed: Observable[Replayed[Any]] = rx.create(source).pipe(
            ops.replay_bounded(capacity, **arguments)
        )

    def emit(self, *items: Any) -> None:
        for item in items:
            self.subject.on_next(item)

    @property
    def has_subscribers(self) -> bool:
        return bool(self.subject.observers)
