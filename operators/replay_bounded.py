"""One subscription for many subscribers, and the past for those who come late."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_count
from rxagents.operators._replay import Past, Reader, Replayed
from rxagents.operators._when_abandoned import WhenAbandoned, is_cancelled
from rxagents.operators.share_bounded import share_bounded
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


def replay_bounded(
    capacity: int, *, when_abandoned: WhenAbandoned = "cancel"
) -> Callable[[Observable[T]], Observable[Replayed[T]]]:
    """Share one subscription, as `share_bounded` does; late subscribers get the last items first.

    A subscriber that comes back leaves out what it has seen by the ids, and knows by a gap in
    them that some is gone. Each reads at its own pace from the items that are kept, and holds up
    nobody; one that falls further behind fails. The past stays after the end.

    .. marble::
        --a-----b-----c-----|
        [ replay_bounded(2) ]
        --1a----2b----3c----|
        -----------(1a,2b)--3c----|

    Emits when: the source emits, and on subscription for the past.
    Backpressures when: all subscribers do; one that has room is enough to go on.
    Completes when: the source has completed and the subscriber has had its items.

    Args:
        capacity: How many items are kept.
        when_abandoned: What happens to the source when the last subscriber leaves: `"cancel"`
            it, and forget the past, or let it `"continue"` to its end.

    Returns:
        An operator from an Observable to one that shares its items, each with its number.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type or size; in the stream,
            if no event loop is running.
        BackpressureError: In the stream of a subscriber that more than `capacity` items wait
            for. The source's errors pass, to all subscribers.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> letters = rx.of("a", "b", "c").pipe(ops.replay_bounded(2, when_abandoned="continue"))
        >>> twice = rx.concat(letters, letters)
        >>> rxagents.run(twice, lambda replayed: print(replayed.id, replayed.item))
        1 a
        2 b
        3 c
        2 b
        3 c
        Replayed(id=3, item='c')
    """
    checked_count("capacity", capacity)
    is_cancelled(when_abandoned)

    def replay_bounded_(source: Observable[T]) -> Observable[Replayed[T]]:
        past = Past[T](capacity)
        live = past.recorded(source).pipe(share_bounded(when_abandoned=when_abandoned))

        def subscribe(observer: abc.ObserverBase[Replayed[T]], scope: TimedScope) -> None:
            reader = Reader(observer, scope, past)
            scope.subscribe(live, reader.on_next, reader.end, reader.end)
            reader.start()

        return timed(subscribe)

    return replay_bounded_
