"""One subscription for many subscribers, none of which can starve the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.operators._sharing import Sharing
from rxagents.operators._when_abandoned import WhenAbandoned, is_cancelled

T = TypeVar("T")


def share_bounded(
    *, when_abandoned: WhenAbandoned = "cancel"
) -> Callable[[Observable[T]], Observable[T]]:
    """Share one subscription to the source: the fastest reader sets the pace.

    The source is subscribed to with the first subscriber. Later ones get what comes from then
    on, and after the end the end alone: the source does not run again. So `retry_with_backoff`
    stands before this in a pipe; after it, it would get the same error again. A reader that
    falls behind meets the bound of its own `to_aiter`, and holds up nobody. An exception that a
    subscriber raises ends its own subscription, and is reported as that of any other stream.

    When all have left, the source is cancelled, and whoever subscribes then starts it again, as
    with reactivex's `share`: what was cancelled has no end that could be told.

    .. marble::
        --a-----b-----c-----|
        [ share_bounded() ]
        --a-----b-----c-----|
        -----------b-----c-----|

    Emits when: the source emits, to all subscribers.
    Backpressures when: all subscribers do; one that has room is enough to go on.
    Completes when: the source completes.

    Args:
        when_abandoned: What happens to the source when the last subscriber leaves: `"cancel"`
            it, or let it `"continue"` to its end.

    Returns:
        An operator from an Observable to one that shares its items, on the running loop.

    Raises:
        ConfigurationError: At once, if `when_abandoned` is another value; in the stream, if no
            event loop is running. The source's errors pass, to all subscribers.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> numbers = rx.of(1, 2).pipe(ops.share_bounded())
        >>> rxagents.run(numbers.pipe(rx.operators.merge(numbers)), print)
        1
        1
        2
        2
        2
    """
    cancel = is_cancelled(when_abandoned)

    def share_bounded_(source: Observable[T]) -> Observable[T]:
        return Observable(Sharing(source, cancel=cancel).subscribe)

    return share_bounded_
