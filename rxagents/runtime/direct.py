"""Subscribe to a stream without an `AutoDetachObserver` between.

Theory of operation. `Observable.subscribe` puts an `AutoDetachObserver` before each subscriber.
That is one more Python call for an item, 60 ns of some 900 that a whole chunk takes, and a chain of
six operators pays it six times. What that observer does is needed once a chain:

- It delivers one terminal and then disposes the subscription, and an exception of `subscribe` goes
  to `on_error`. `subscribe_directly` does the same, since neither concerns an item.
- It drops items after the terminal and after `dispose`. This is what costs the call, and
  `subscribe_directly` leaves it out. Someone in the chain must do it: a `TimedScope`, which looks
  at a flag in a call that it makes anyway, or the observer of the last subscriber.

So an operator of ours may subscribe directly if an item that comes too late does no harm in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler

from rxagents.runtime.factories import Callbacks, core_of
from rxagents.runtime.reporting import raise_unhandled
from rxagents.runtime.stream import Stream

T = TypeVar("T")


def subscribe_directly(
    source: Observable[T],
    on_next: Callable[[T], None],
    on_error: Callable[[Exception], None],
    on_completed: Callable[[], None],
    scheduler: abc.SchedulerBase | None,
) -> abc.DisposableBase:
    """Subscribe so that an item reaches `on_next` without a call between.

    Args:
        source: The stream.
        on_next: Called with each item, also after the end if the source emits one then.
        on_error: Called with the source's error, or with that of its `subscribe`.
        on_completed: Called when the source completes; one of the two is called, once.
        scheduler: The subscriber's scheduler.

    Returns:
        The subscription; it is disposed when the source has ended.
    """
    subscription = SingleAssignmentDisposable()
    has_ended = False

    def fail(error: Exception) -> None:
        nonlocal has_ended
        if not has_ended and not subscription.is_disposed:
            has_ended = True
            try:
                on_error(error)
            finally:
                subscription.dispose()

    def complete() -> None:
        nonlocal has_ended
        if not has_ended and not subscription.is_disposed:
            has_ended = True
            try:
                on_completed()
            finally:
                subscription.dispose()

    def connect(*_: object) -> None:
        try:
            made = core_of(source)(Callbacks(on_next, fail, complete), scheduler)
        except Exception as error:
            if has_ended or subscription.is_disposed:
                raise
            fail(error)
        else:
            is_disposable = isinstance(made, abc.DisposableBase)
            subscription.disposable = made if is_disposable else _as_disposable(made)

    # As `Observable.subscribe` does: a source of reactivex that emits inside of `subscribe` starts
    # when `connect` has returned, so that it can be disposed.
    trampoline = CurrentThreadScheduler.singleton()
    if trampoline.schedule_required():
        trampoline.schedule(connect)
    else:
        connect()
    return subscription


class DirectStream(Stream[T]):
    """A stream whose subscribers get its items without an observer between.

    It is for code that calls `subscribe` itself, such as reactivex's `concat`.

    Args:
        source: The stream; it must not emit after its end or after `dispose`.
    """

    def __init__(self, source: Observable[T]) -> None:
        super().__init__()
        self._source = source

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe as `Observable.subscribe` does, with `subscribe_directly`."""
        observer: Any = on_next  # reactivex takes any object that has the methods
        next_: Any = on_next
        if callable(getattr(observer, "on_next", None)):
            next_ = observer.on_next
            on_error, on_completed = observer.on_error, observer.on_completed
        return subscribe_directly(
            self._source,
            next_ or _ignore,
            on_error or raise_unhandled,
            on_completed or _ignore,
            scheduler,
        )


def deferred(make: Callable[[], Observable[T]]) -> Observable[T]:
    """Return a stream that `make` makes at each subscription.

    `rx.defer` does the same with an observer more.
    """

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subscription: abc.DisposableBase = core_of(make())(observer, scheduler)
        return subscription

    return Stream(subscribe)


def _ignore(*_: object) -> None: ...


def _as_disposable(made: Any) -> abc.DisposableBase:
    """Return what a user's `subscribe` returned, `None` or a function, as a Disposable."""
    if callable(getattr(made, "dispose", None)):
        return Disposable(made.dispose)
    return Disposable(made)
