"""Binds timers and sources to one subscription of an operator that keeps time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler import VirtualTimeScheduler

from rxagents.runtime.bridge import Gate, bridge_of
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.reporting import report_unhandled

T = TypeVar("T")


class TimedScope:
    """The time, the timers and the sources of one subscription.

    Time is the running loop's, or a virtual scheduler's. Other schedulers of reactivex fire on
    threads of their own, where no stream may emit: they are handed up to the sources, and not
    used here.

    What a consumer or a timer's action raises ends the scope without a terminal, and is reported
    once: to the code that awaits the stream, or else to the loop's exception handler. In virtual
    time it is raised.

    Args:
        scheduler: The subscriber's.

    Attributes:
        scheduler: The same; hand it up to the sources.
        loop: The running loop; `None` in virtual time.
        now: Returns the time in seconds, from any start.
        gate: Closed while the subscriber has enough.

    Raises:
        ConfigurationError: No loop is running, and time is not virtual.
    """

    __slots__ = ("_bridge", "_held", "gate", "loop", "now", "scheduler")

    def __init__(self, scheduler: abc.SchedulerBase | None) -> None:
        self.scheduler = scheduler
        self._bridge = bridge_of(scheduler)
        self.gate = self._bridge.gate if self._bridge else Gate()
        self._held = CompositeDisposable()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.now: Callable[[], float]
        if isinstance(scheduler, VirtualTimeScheduler):
            self.now = lambda: scheduler.to_seconds(scheduler.now)
        else:
            self.loop = running_loop()
            self.now = self.loop.time

    @property
    def is_disposed(self) -> bool:
        """Whether it is over."""
        return self._held.is_disposed

    def subscribe(
        self,
        source: Observable[T],
        on_next: Callable[[T], None],
        on_error: Callable[[Exception], None],
        on_completed: Callable[[], None],
    ) -> abc.DisposableBase:
        """Subscribe to `source`; the scope's end ends the subscription.

        What `on_next` raises is reported here and does not go on to the source: disposing a
        source that is about to tell of it would make it silent.
        """
        held, subscription = self._held, SerialDisposable()
        held.add(subscription)

        def take(item: T) -> None:
            if held.is_disposed:
                return  # one that emits inside of `subscribe` cannot be stopped
            try:
                on_next(item)
            except Exception as error:
                self._fail(error)

        def fail(error: Exception) -> None:
            held.remove(subscription)
            if not held.is_disposed:
                on_error(error)

        def complete() -> None:
            if not held.is_disposed:
                on_completed()

        subscription.disposable = source.subscribe(take, fail, complete, scheduler=self.scheduler)
        return subscription

    def hold(self, disposable: abc.DisposableBase) -> None:
        """Dispose `disposable` when the scope ends."""
        self._held.add(disposable)

    def timer(self, action: Callable[[], None]) -> Timer:
        """Return a timer of this scope that calls `action`."""
        timer = Timer(self, action)
        self._held.add(timer.pending)
        return timer

    def schedule(self, seconds: float, guarded: Callable[..., None]) -> abc.DisposableBase:
        """Call what `self.guarded` returned after `seconds`."""
        if self.loop is not None:
            handle = self.loop.call_later(seconds, guarded)
            return Disposable(partial(run_on_loop, self.loop, handle.cancel))
        assert self.scheduler is not None, "time is the loop's or a scheduler's"
        return self.scheduler.schedule_relative(seconds, guarded)

    def guarded(self, action: Callable[[], None]) -> Callable[..., None]:
        """Return a function that calls `action` while the scope lasts.

        What `action` raises ends the scope. The function ignores its arguments, such as those
        that a scheduler of reactivex passes.
        """

        def act(*_: object) -> None:
            if self.is_disposed:
                return
            try:
                action()
            except Exception as error:
                self._fail(error)

        return act

    def _fail(self, error: Exception) -> None:
        self.dispose()
        report_unhandled(error, self.loop, self._bridge)

    def dispose(self) -> None:
        """Stop the timers and the sources. Any thread may call it, and often; it never raises."""
        self._held.dispose()


class Timer:
    """One action, pending once at the most.

    Attributes:
        pending: What is to come; the scope stops it.
    """

    __slots__ = ("_action", "_guarded", "_scope", "is_pending", "pending")

    def __init__(self, scope: TimedScope, action: Callable[[], None]) -> None:
        self._scope = scope
        self._action = action
        self._guarded = scope.guarded(self._act)
        self.pending = SerialDisposable()
        self.is_pending = False

    def start(self, seconds: float) -> None:
        """Act after `seconds`, and not at any earlier time that was asked for."""
        self.is_pending = True
        self.pending.disposable = self._scope.schedule(seconds, self._guarded)

    def stop(self) -> None:
        """Do not act."""
        self.is_pending = False
        self.pending.disposable = None

    def _act(self) -> None:
        self.is_pending = False
        self._action()


Subscribe: TypeAlias = Callable[[abc.ObserverBase[T], TimedScope], None]


def timed(subscribe: Subscribe[T]) -> Observable[T]:
    """Make an Observable whose subscriptions keep time.

    Args:
        subscribe: Called with the observer and the scope of a new subscription.

    Returns:
        The Observable. Subscribed to where there is no time to keep, it fails with
        `ConfigurationError`.
    """

    def subscribe_(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        scope = TimedScope(scheduler)
        try:
            subscribe(observer, scope)
        except Exception:
            scope.dispose()
            raise
        return Disposable(scope.dispose)

    return Observable(subscribe_)
