"""Clean up when a run ends, at no cost for each event."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.events import StreamEvent
from rxagents.runtime.stream import Stream


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
