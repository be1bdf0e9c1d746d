"""Share one subscription, and replay the last items to late subscribers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_count
from rxagents.operators._replay import ReplayBuffer, Replayed, ReplayReader
from rxagents.operators._sharing import WhenAbandoned, checked_when_abandoned
from rxagents.operators.share_bounded import share_bounded
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def replay_bounded(
    capacity: int, *, when_abandoned: WhenAbandoned = "cancel"
) -> Callable[[Observable[T]], Observable[Replayed[T]]]:
    """Share one subscription, as `share_bounded` does; late subscribers get the last items first.

    Every item has an id. A subscriber that comes back skips the ids that it has seen, and sees
    from a gap in them that items are gone. Each subscriber reads the kept items at its own pace
    and holds up no other; one that falls more than `capacity` items behind fails. The kept items
    stay after the end.

    .. marble::
        --a-----b-------------c---|
        [ replay_bounded(2) ]
        --1:a---2:b-----------3:c-|
                  (1:a)(2:b)--3:c-|

    Emits when: the source emits; on subscription, the kept items.
    Backpressures when: all subscribers do; the source goes on while one of them has room.
    Completes when: the source has completed and the subscriber has had its items.

    Args:
        capacity: How many items are kept.
        when_abandoned: What happens to the source when the last subscriber leaves: `"cancel"`
            disposes it and forgets the kept items, `"continue"` lets it run to its end.

    Returns:
        An operator from an Observable to one that shares its items, each with its id.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the stream,
            if no event loop is running.
        BackpressureError: In the stream of a subscriber for which more than `capacity` items
            wait. The source's errors pass, to all subscribers.

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
    checked_when_abandoned(when_abandoned)

    def replay_bounded_(source: Observable[T]) -> Observable[Replayed[T]]:
        buffer = ReplayBuffer[T](capacity)
        live = buffer.filled_from(source).pipe(share_bounded(when_abandoned=when_abandoned))

        def subscribe(observer: abc.ObserverBase[Replayed[T]], scope: TimedScope) -> None:
            reader = ReplayReader(observer, scope, buffer)
            scope.subscribe(live, reader.on_next, reader.end, reader.end)
            reader.start()

        return timed(subscribe)

    return replay_bounded_
