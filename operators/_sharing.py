"""Share one subscription to a source between many subscribers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.core.errors import ConfigurationError
from rxagents.operators._subscriber import Subscriber
from rxagents.runtime.bridge import Bridge, bridge_of
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.reporting import report_unhandled

# Theory of operation
#
# Goal: one request serves many subscribers. All see the same items in the same order, none can
# hold up or fail the others, and the source slows down only while all of them have enough.
#
# `SharedSource` lives as long as the shared Observable and is in one of three states:
#   idle     no run, no end: the next subscriber starts a run;
#   running  `_run` is set: further subscribers join it;
#   ended    the source completed or failed: a late subscriber gets only that end, on the next loop
#            turn, since nothing is emitted inside `subscribe`.
# A run moves it to ended (`_deliver_end`), or back to idle: when the last subscriber leaves
# (`_remove`), unless `when_abandoned="continue"`, and when an operator between the source and here
# raises (`_fail`). A run whose loop is closed counts as none.
#
# One thread: the run's state changes only on its loop's thread. `leave` clears `active` at once,
# on any thread, so that nothing is delivered after dispose; `_remove` follows on the loop.
#
# Order: items go through `_arrived`, which one loop (`_deliver`) empties. Delivering a re-entrant
# item at once, as a Subject does, would show it to the later subscribers before the item that
# caused it. An item is delivered to `_order`, a copy of `_subscribers` that is made when these have
# changed: one that joins while an item is delivered gets the next item first; one that leaves
# meanwhile is skipped by `active`. To leave costs the same however many others there are: a
# tuple, replaced at each, took quadratic time when 8,000 subscribers left.
#
# Demand: the run has a gate and a bridge of its own. reactivex's `share` passes on the scheduler of
# the first subscriber, and with it that subscriber's gate: when we tried that, a first reader that
# paused stopped all others for ever. The run's gate closes when the gates of all are closed.
#
# End: the run is closed before its end is delivered, so that a subscriber that subscribes again
# inside `on_completed` finds the ended state, not this run. The source's tasks are then cancelled
# but not over. The bridges of the last subscribers become the successors of the run's bridge, so
# that their `aclose` still waits for those tasks.

T = TypeVar("T")

WhenAbandoned: TypeAlias = Literal["cancel", "continue"]
"""Cancel the source when the last subscriber leaves, or let it continue."""


def checked_when_abandoned(value: WhenAbandoned) -> WhenAbandoned:
    """Return `value` if it is `"cancel"` or `"continue"`.

    Raises:
        ConfigurationError: It is something else.
    """
    if value not in get_args(WhenAbandoned):
        raise ConfigurationError(f'when_abandoned must be "cancel" or "continue", not {value!r}.')
    return value


class SharedSource(Generic[T]):
    """The source, its present run, and how it ended.

    Args:
        source: The Observable to share.
        when_abandoned: What happens to the source when the last subscriber leaves.

    Attributes:
        cancel_when_abandoned: Whether the run ends then.
    """

    def __init__(self, source: Observable[T], when_abandoned: WhenAbandoned) -> None:
        self.cancel_when_abandoned = when_abandoned == "cancel"
        self._source = source
        self._run: SharedSubscription[T] | None = None
        self._ended = False
        self._error: Exception | None = None

    def subscribe(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        """Join the run, start one, or deliver the end."""
        loop = running_loop()
        self._check_loop(loop)
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

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raise if the run is on another loop: it would call the subscriber on the wrong thread."""
        run = self._run
        if run is not None and run.loop is not loop and not run.loop.is_closed():
            raise ConfigurationError(
                "The shared stream runs on another event loop, and its subscribers must all be on "
                "that loop. Share a stream for each loop, or subscribe on the first one's loop."
            )

    def set_end(self, error: Exception | None) -> None:
        """Keep how the source ended, for later subscribers."""
        self._ended, self._error = True, error
        self._run = None

    def forget(self, run: SharedSubscription[T]) -> None:
        """Let the next subscriber start a new run."""
        if self._run is run:
            self._run = None


class SharedSubscription(Generic[T]):
    """A run: one subscription to the source, with a gate and a bridge of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, shared: SharedSource[T]) -> None:
        self.loop = loop
        self._shared = shared
        self._bridge = Bridge(loop, self._fail)
        self._subscription = SingleAssignmentDisposable()
        self._subscribers: dict[Subscriber[T], None] = {}
        self._order: tuple[Subscriber[T], ...] | None = ()
        self._arrived: deque[T] = deque()
        self._delivering = False
        self._closed = False
        self._has_ended = False
        self._error: Exception | None = None

    def start(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> None:
        """Subscribe to the source; keep a scheduler that is not asyncio's, such as virtual time."""
        if scheduler is None or isinstance(scheduler, AsyncIOScheduler):
            scheduler = self._bridge.scheduler
        with self._bridge.entered():
            self._subscription.disposable = source.subscribe(
                self._on_next, self._on_end, self._on_end, scheduler=scheduler
            )

    def join(self, subscriber: Subscriber[T]) -> None:
        """Deliver to `subscriber` too, from the next item on."""
        self._subscribers[subscriber] = None
        self._order = None
        if subscriber.gate.closed:
            self._adjust_gate()
        elif self._bridge.gate.closed:
            self._bridge.gate.open()

    def leave(self, subscriber: Subscriber[T]) -> None:
        """Deliver nothing more to `subscriber`. Any thread may call it, more than once."""
        subscriber.stop()
        run_on_loop(self.loop, self._remove, subscriber)

    def _remove(self, subscriber: Subscriber[T]) -> None:
        if subscriber not in self._subscribers:
            return
        del self._subscribers[subscriber]
        self._order = None
        if self._subscribers:
            return  # if none of the others has demand, the next item closes the gate
        if not self._shared.cancel_when_abandoned:
            self._adjust_gate()
        else:
            self._shared.forget(self)
            self._close((subscriber,))

    def _close(self, last: Iterable[Subscriber[T]]) -> None:
        self._closed = True
        self._arrived.clear()
        self._subscription.dispose()
        self._bridge.close({one.bridge for one in last if one.bridge is not None})

    def _adjust_gate(self) -> None:
        """Close the gate if all subscribers have enough, else open it."""
        gate = self._bridge.gate
        if self._subscribers and all(one.gate.closed for one in self._subscribers):
            gate.close()
            for subscriber in self._subscribers:
                subscriber.when_gate_opens(self._adjust_gate)
        elif gate.closed:
            gate.open()

    def _on_next(self, item: T) -> None:
        self._arrived.append(item)
        self._deliver()

    def _on_end(self, error: Exception | None = None) -> None:
        self._has_ended, self._error = True, error
        self._deliver()

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._arrived:
                self._deliver_item(self._arrived.popleft())
        finally:
            self._delivering = False
        if self._has_ended and not self._closed:
            self._deliver_end()

    def _deliver_item(self, item: T) -> None:
        has_demand = False
        order = self._order
        if order is None:
            order = self._order = tuple(self._subscribers)
        for subscriber in order:
            if not subscriber.active:
                continue
            if not subscriber.next(item):
                self._remove(subscriber)
            elif not subscriber.gate.closed:
                has_demand = True
        if not has_demand:
            self._adjust_gate()

    def _deliver_end(self) -> None:
        subscribers = self._take_subscribers()
        self._shared.set_end(self._error)
        self._close(subscribers)
        for subscriber in subscribers:
            subscriber.end(self._error)

    def _take_subscribers(self) -> tuple[Subscriber[T], ...]:
        """Remove all subscribers, and return them."""
        subscribers = tuple(self._subscribers)
        self._subscribers.clear()
        self._order = ()
        return subscribers

    def _fail(self, error: Exception) -> None:
        """End the run without a terminal, since code between the source and here raised.

        The exception is raised once in each code that awaits a subscriber, or else reported to the
        loop.
        """
        subscribers = self._take_subscribers()
        self._shared.forget(self)
        self._close(subscribers)
        awaiting = {one.bridge for one in subscribers if one.bridge and not one.bridge.closed}
        for subscriber in subscribers:
            subscriber.stop()
        for bridge in awaiting or [None]:
            report_unhandled(error, self.loop, bridge)
