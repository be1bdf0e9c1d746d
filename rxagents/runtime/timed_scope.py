"""Bind the timers and sources of an operator to one subscription.

Theory of operation:

reactivex's time operators fire on another thread when no scheduler is given. Ours use the running
loop, or a virtual scheduler in tests; `TimedScope` hides which of the two. A scope lives until
`dispose`, which the subscriber calls (from any thread), or the scope itself when a consumer or a
timer's action raises. From then on no timer fires and no item passes.

What must stay:

- Every callback looks at `is_disposed`. Disposing alone is not enough: a source that emits inside
  `subscribe` has returned no disposable yet, and a timer of the loop may be due already when
  another thread disposes.
- What `on_next` raises is caught and reported here: the scope ends first and disposes the source,
  and a disposed source reports nothing. What `on_error` and `on_completed` raise goes to the
  source, which has ended by then, and which reports it.
- A source that has ended is removed from the scope, so that an operator that subscribes again and
  again (one tool call after the other) does not collect dead subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler import VirtualTimeScheduler

from rxagents.runtime.bridge import Gate, bridge_of
from rxagents.runtime.direct import subscribe_directly
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.reporting import nonfatal, report_unhandled
from rxagents.runtime.stream import Stream

T = TypeVar("T")


class TimedScope:
    """Holds the clock, the timers and the sources of one subscription.

    Time is the running loop's, or a virtual scheduler's. Other schedulers of reactivex fire on
    threads of their own, where no stream may emit: they are handed up to the sources, and not
    used here.

    What a consumer or a timer's action raises ends the scope without a terminal, and is reported
    once: to the code that awaits the stream, or else to the loop's exception handler. In virtual
    time it is raised.

    Args:
        scheduler: The subscriber's scheduler.

    Attributes:
        scheduler: The same; subscribe to the sources with it.
        loop: The running loop; `None` in virtual time.
        now: Returns the time in seconds, from any start.
        gate: Closed while the subscriber wants no more items.

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
        """Whether the scope has ended."""
        return self._held.is_disposed

    def subscribe(
        self,
        source: Observable[T],
        on_next: Callable[[T], None],
        on_error: Callable[[Exception], None],
        on_completed: Callable[[], None],
    ) -> abc.DisposableBase:
        """Subscribe to `source` until the scope ends.

        What `on_next` raises ends the scope, and is reported here.

        Returns:
            The subscription, to end it earlier.
        """
        held, subscription = self._held, SerialDisposable()
        held.add(subscription)
        has_ended = False

        def on_item(item: T) -> None:
            if has_ended or held.is_disposed:
                return
            try:
                on_next(item)
            except BaseException as error:
                self._fail(error)

        def fail(error: Exception) -> None:
            nonlocal has_ended
            has_ended = True
            held.remove(subscription)
            if not held.is_disposed:
                on_error(error)

        def complete() -> None:
            nonlocal has_ended
            has_ended = True
            held.remove(subscription)
            if not held.is_disposed:
                on_completed()

        try:
            subscription.disposable = subscribe_directly(
                source, on_item, fail, complete, self.scheduler
            )
        except BaseException as error:
            if has_ended or isinstance(error, Exception):
                raise  # an Exception: reactivex has given it to `fail` where it could
            fail(nonfatal(error))
        return subscription

    def hold(self, disposable: abc.DisposableBase) -> None:
        """Dispose `disposable` when the scope ends."""
        self._held.add(disposable)

    def timer(self, action: Callable[[], None]) -> Timer:
        """Return a timer of this scope that calls `action`."""
        timer = Timer(self, action)
        self._held.add(timer.pending)
        return timer

    def schedule(self, seconds: float, callback: Callable[..., None]) -> abc.DisposableBase:
        """Call `callback` after `seconds`; a virtual scheduler passes it arguments."""
        if self.loop is not None:
            handle = self.loop.call_later(seconds, callback)
            return Disposable(partial(run_on_loop, self.loop, handle.cancel))
        assert self.scheduler is not None, "time is the loop's or a scheduler's"
        # As the loop does, call it with the context variables of now.
        return self.scheduler.schedule_relative(seconds, partial(copy_context().run, callback))

    def run(self, action: Callable[[], None]) -> None:
        """Call `action` unless the scope has ended; what it raises ends the scope."""
        if self.is_disposed:
            return
        try:
            action()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.dispose()
        report_unhandled(error, self.loop, self._bridge)

    def dispose(self) -> None:
        """Stop the timers and the sources.

        Any thread may call it, any number of times; it never raises.
        """
        self._held.dispose()


class Timer:
    """Calls one action of a scope, with at most one call pending.

    Attributes:
        pending: The pending call; the scope disposes it.
        is_pending: Whether there is one.
    """

    __slots__ = ("_action", "_scope", "is_pending", "pending")

    def __init__(self, scope: TimedScope, action: Callable[[], None]) -> None:
        self._scope = scope
        self._action = action
        self.pending = SerialDisposable()
        self.is_pending = False

    def start(self, seconds: float) -> None:
        """Call the action after `seconds`; this replaces a call that is pending."""
        self.is_pending = True
        self.pending.disposable = self._scope.schedule(seconds, self._act)

    def stop(self) -> None:
        """Cancel the pending call."""
        self.is_pending = False
        # Not `None`: once the scope is disposed, reactivex disposes what it is given.
        self.pending.disposable = Disposable()

    def _act(self, *_: object) -> None:
        self.is_pending = False
        self._scope.run(self._action)


Subscribe: TypeAlias = Callable[[abc.ObserverBase[T], TimedScope], None]


def timed(subscribe: Subscribe[T]) -> Observable[T]:
    """Make an Observable whose subscriptions have a `TimedScope` each.

    Args:
        subscribe: Called with the observer and the scope of a new subscription.

    Returns:
        The Observable. Where no loop runs and time is not virtual, it fails with
        `ConfigurationError`.
    """

    def subscribe_(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        scope = TimedScope(scheduler)
        try:
            subscribe(observer, scope)
        except BaseException:
            scope.dispose()
            raise
        return Disposable(scope.dispose)

    return Stream(subscribe_)
