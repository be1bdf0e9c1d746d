"""One subscription to a source, handed out to many subscribers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.runtime.bridge import Bridge, Gate, bridge_of
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.reporting import report_unhandled

T = TypeVar("T")


class Sharing(Generic[T]):
    """The source, the run that is under way, and how it ended.

    Args:
        source: What is shared.
        cancel: Whether the source is cancelled when the last subscriber leaves.
    """

    def __init__(self, source: Observable[T], *, cancel: bool) -> None:
        self._source = source
        self._cancel = cancel
        self._run: SharedSubscription[T] | None = None
        self._ended = False
        self._error: Exception | None = None

    def subscribe(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        """Join the run, start one, or tell how it ended."""
        loop = running_loop()
        subscriber = Subscriber(observer, loop, bridge_of(scheduler))
        if self._ended:
            loop.call_soon(subscriber.end, self._error)
            return Disposable(subscriber.stop)
        run = self._run
        if run is None or run.loop.is_closed():
            run = self._run = SharedSubscription(loop, self)
            run.join(subscriber)
            run.start(self._source, scheduler)
        else:
            run.join(subscriber)
        return Disposable(lambda: run.leave(subscriber))

    def end(self, error: Exception | None) -> None:
        """Remember the source's end."""
        self._ended, self._error = True, error
        self._run = None

    def abandon(self, run: SharedSubscription[T]) -> bool:
        """Tell whether a run that nobody listens to is over; the next one is a new one then."""
        if self._cancel:
            self.forget(run)
        return self._cancel

    def forget(self, run: SharedSubscription[T]) -> None:
        """Let the next subscriber start a new run."""
        if self._run is run:
            self._run = None


class Subscriber(Generic[T]):
    """One subscriber; its code runs in the context in which it subscribed.

    Attributes:
        active: Whether it still listens.
        gate: Closed while it has enough; one that cannot say so never has.
        bridge: That of the asynchronous code that awaits it, if there is any.
    """

    def __init__(
        self, observer: abc.ObserverBase[T], loop: asyncio.AbstractEventLoop, bridge: Bridge | None
    ) -> None:
        self.active = True
        self.bridge = bridge
        self.gate = bridge.gate if bridge is not None else Gate()
        self._observer = observer
        self._on_next = observer.on_next
        self._call = copy_context().run
        self._loop = loop
        self._watching = False

    def stop(self) -> None:
        """Deliver nothing more."""
        self.active = False

    def next(self, item: T) -> bool:
        """Deliver an item; tell whether it was taken without an exception."""
        try:
            self._call(self._on_next, item)
        except Exception as error:
            self.active = False
            self.report(error)
            return False
        return True

    def end(self, error: Exception | None) -> None:
        """Deliver the end."""
        if not self.active:
            return
        self.active = False
        try:
            if error is None:
                self._call(self._observer.on_completed)
            else:
                self._call(self._observer.on_error, error)
        except Exception as failure:
            self.report(failure)

    def report(self, error: Exception) -> None:
        """Report what the subscriber raised to the code that awaits it, or else to the loop."""
        report_unhandled(error, self._loop, self.bridge)

    def when_wanted(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when its gate opens, however often this is asked for."""
        if self._watching:
            return
        self._watching = True

        def opened() -> None:
            self._watching = False
            callback()

        self.gate.when_open(opened)


class SharedSubscription(Generic[T]):
    """One subscription to the source, with a gate and tasks of its own.

    Items that come while one is being delivered wait, so that all subscribers see one order.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sharing: Sharing[T]) -> None:
        self.loop = loop
        self._sharing = sharing
        self._bridge = Bridge(loop, self._fail)
        self._subscription = SingleAssignmentDisposable()
        self._subscribers: tuple[Subscriber[T], ...] = ()
        self._arrived: deque[T] = deque()
        self._delivering = False
        self._closed = False
        self._over = False
        self._error: Exception | None = None

    def start(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> None:
        """Subscribe to the source; other schedulers than asyncio's, such as virtual time, stay."""
        if scheduler is None or isinstance(scheduler, AsyncIOScheduler):
            scheduler = self._bridge.scheduler
        with self._bridge.entered():
            self._subscription.disposable = source.subscribe(
                self._on_next, self._on_end, self._on_end, scheduler=scheduler
            )

    def join(self, subscriber: Subscriber[T]) -> None:
        """Deliver to `subscriber` too, from the next item on."""
        self._subscribers += (subscriber,)
        self._adjust()

    def leave(self, subscriber: Subscriber[T]) -> None:
        """Deliver nothing more to `subscriber`. Any thread may call it, at any time and often."""
        subscriber.stop()
        run_on_loop(self.loop, self._remove, subscriber)

    def _remove(self, subscriber: Subscriber[T]) -> None:
        if subscriber not in self._subscribers:
            return
        self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
        if not self._subscribers and self._sharing.abandon(self):
            self._close(subscriber.bridge)
        else:
            self._adjust()

    def _close(self, heir: Bridge | None = None) -> None:
        self._closed = True
        self._arrived.clear()
        self._subscription.dispose()
        self._bridge.close(heir)

    def _adjust(self) -> None:
        """Close the gate while all subscribers have enough."""
        gate = self._bridge.gate
        if self._subscribers and all(one.gate.closed for one in self._subscribers):
            gate.close()
            for subscriber in self._subscribers:
                subscriber.when_wanted(self._adjust)
        elif gate.closed:
            gate.open()

    def _on_next(self, item: T) -> None:
        self._arrived.append(item)
        self._deliver()

    def _on_end(self, error: Exception | None = None) -> None:
        self._over, self._error = True, error
        self._deliver()

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._arrived:
                self._hand_out(self._arrived.popleft())
        finally:
            self._delivering = False
        if self._over and not self._closed:
            self._tell_end()

    def _hand_out(self, item: T) -> None:
        wanted = False
        for subscriber in self._subscribers:
            if not subscriber.active:
                continue
            if not subscriber.next(item):
                self._remove(subscriber)
            elif not subscriber.gate.closed:
                wanted = True
        if not wanted:
            self._adjust()

    def _tell_end(self) -> None:
        subscribers, self._subscribers = self._subscribers, ()
        self._sharing.end(self._error)
        self._close()
        for subscriber in subscribers:
            subscriber.end(self._error)

    def _fail(self, error: Exception) -> None:
        """End without a terminal: code between the source and here raised.

        It is reported once to each who awaits, or else to the loop.
        """
        subscribers, self._subscribers = self._subscribers, ()
        self._sharing.forget(self)
        self._close()
        awaiting = {one.bridge for one in subscribers if one.bridge and not one.bridge.closed}
        for subscriber in subscribers:
            subscriber.stop()
        for bridge in awaiting or [None]:
            report_unhandled(error, self.loop, bridge)
