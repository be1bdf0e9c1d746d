"""Start and end a run with its subscription, at no cost for each event."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.events import StreamEvent
from rxagents.runtime.factories import core_of
from rxagents.runtime.stream import Stream


def started(start: Callable[[], Observable[StreamEvent]]) -> Observable[StreamEvent]:
    """Return a stream that calls `start` when it is subscribed to; `rx.defer` costs an observer."""

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subscription: abc.DisposableBase = core_of(start())(observer, scheduler)
        return subscription

    return Stream(subscribe)


def with_clean_up(
    source: Observable[StreamEvent], clean_up: Callable[[], None]
) -> Observable[StreamEvent]:
    """Return `source`; call `clean_up` when it has ended or its subscriber has left."""

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subscription = source.subscribe(observer, scheduler=scheduler)
        return CompositeDisposable(subscription, Disposable(clean_up))

    return Stream(subscribe)
