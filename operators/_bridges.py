"""Give a source of one subscription a gate that differs from its subscriber's."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.runtime.bridge import Bridge, Gate, bridge_of
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.timed_scope import TimedScope

T = TypeVar("T")


class OwnBridge:
    """A bridge for one source of a scope; in virtual time only a gate.

    What code between the source and the operator raises ends the scope. The scope's end closes the
    bridge, and the subscriber's bridge then waits for the source's tasks in its place.

    Attributes:
        gate: Closed while the source should emit nothing.
    """

    def __init__(self, scope: TimedScope) -> None:
        self.gate = Gate()
        self._scope = scope
        self._scheduler = scope.scheduler
        self._bridge: Bridge | None = None
        if scope.loop is not None:
            bridge = self._bridge = Bridge(scope.loop, self._fail)
            self.gate = bridge.gate
            downstream = bridge_of(scope.scheduler)
            successors = () if downstream is None else (downstream,)
            scope.hold(Disposable(partial(run_on_loop, scope.loop, bridge.close, successors)))

    def subscribe(self, source: Observable[T], observer: abc.ObserverBase[T]) -> None:
        """Subscribe to the source until the scope ends."""
        scope, bridge = self._scope, self._bridge
        handlers = (observer.on_next, observer.on_error, observer.on_completed)
        if bridge is None:
            scope.subscribe(source, *handlers)
            return
        if scope.scheduler is None or isinstance(scope.scheduler, AsyncIOScheduler):
            scope.scheduler = bridge.scheduler  # others stay: the source may need them
        try:
            with bridge.entered():
                scope.subscribe(source, *handlers)
        finally:
            scope.scheduler = self._scheduler

    def _fail(self, error: Exception) -> None:
        def fail() -> None:
            raise error

        self._scope.run(fail)
