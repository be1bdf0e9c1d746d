"""One operator in virtual time, from its source's notifications to its subscriber's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from observing import pending
from reactivex import Observable
from reactivex.testing import TestScheduler

Operator = Callable[[Observable[Any]], Observable[Any]]


def play(operator: Operator, *messages: Any, disposed: float = 1000.5) -> list[Any]:
    """Return what comes out of a hot source with these messages, subscribed to at 200.

    Nothing may be left to do when the stream has ended or was disposed.
    """
    seen, _ = play_with_subscriptions(operator, *messages, disposed=disposed)
    return seen


def play_with_subscriptions(
    operator: Operator, *messages: Any, disposed: float = 1000.5
) -> tuple[list[Any], list[Any]]:
    """Return what comes out of a hot source as `play` does, and when it was subscribed to."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    observer: Any = scheduler.start(lambda: source.pipe(operator), disposed=disposed)
    assert not pending(scheduler)
    assert len(source.subscriptions) <= 1
    assert all(subscription.unsubscribe <= disposed for subscription in source.subscriptions)
    return observer.messages, source.subscriptions


def play_twice(operator: Operator, first: float, second: float, *messages: Any) -> list[list[Any]]:
    """Return what two subscribers see who come at these times to one cold source."""
    scheduler = TestScheduler()
    piped = scheduler.create_cold_observable(*messages).pipe(operator)
    observers = [scheduler.create_observer() for _ in range(2)]
    for time, observer in zip((first, second), observers, strict=True):
        scheduler.schedule_absolute(
            time, lambda *_, o=observer: piped.subscribe(o, scheduler=scheduler)
        )
    scheduler.start()
    return [observer.messages for observer in observers]
