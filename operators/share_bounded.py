"""Share one subscription between many subscribers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.operators._sharing import SharedSource, WhenAbandoned, checked_when_abandoned
from rxagents.runtime.factories import operator_factory

T = TypeVar("T")


@operator_factory
def share_bounded(
    *, when_abandoned: WhenAbandoned = "cancel"
) -> Callable[[Observable[T]], Observable[T]]:
    """Share one subscription to the source; the fastest subscriber sets the pace.

    The first subscriber starts the source. Later ones get the items from then on; after the end
    they get only the end, and the source does not run again. So put `retry_with_backoff` before
    this operator in a pipe: after it, each retry would get the same error. A subscriber that falls
    behind fills its own queue, that of its `to_aiter`, and holds up no other. What a subscriber
    raises ends only its own subscription, and is reported once.

    When all subscribers have left, the source is cancelled; the next one starts it again, as with
    reactivex's `share`.

    .. marble::
        --a-----b-----c-----|
        [ share_bounded() ]
        --a-----b-----c-----|
              --b-----c-----|

    Emits when: the source emits, to all subscribers.
    Backpressures when: all subscribers do; the source goes on while one of them has room.
    Completes when: the source completes.

    Args:
        when_abandoned: What happens to the source when the last subscriber leaves: `"cancel"`
            disposes it, `"continue"` lets it run to its end.

    Returns:
        An operator from an Observable to one that shares its items, on the running loop.

    Raises:
        ConfigurationError: On the call, if `when_abandoned` is another value; in the stream, if no
            event loop is running. The source's errors pass, to all subscribers.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from reactivex import operators as rx_ops
        >>> from rxagents import operators as ops
        >>> numbers = rx.of(1, 2).pipe(ops.share_bounded())
        >>> rxagents.run(numbers.pipe(rx_ops.merge(numbers)), print)
        1
        1
        2
        2
        2
    """
    checked_when_abandoned(when_abandoned)

    def share_bounded_(source: Observable[T]) -> Observable[T]:
        return Observable(SharedSource(source, when_abandoned).subscribe)

    return share_bounded_
