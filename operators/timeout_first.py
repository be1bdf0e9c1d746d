"""Limit the time to the first item."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import FirstEventTimeoutError
from rxagents.operators._timeouts import idle_clock
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def timeout_first(seconds: float) -> Callable[[Observable[T]], Observable[T]]:
    """Fail the stream when its first item does not come in time.

    .. marble::
        -----------------1-|
        [ timeout_first(8) ]
        --------#
        time: 1 s per character

    Emits when: the source emits.
    Backpressures when: downstream does; the clock is stopped meanwhile.
    Completes when: the source completes.

    Args:
        seconds: The longest time from the subscription to the first item.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `seconds` is not a number above 0.
        FirstEventTimeoutError: In the stream, if the time runs out. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> rxagents.run(rx.never().pipe(ops.timeout_first(0.01)))
        Traceback (most recent call last):
        rxagents.core.errors.FirstEventTimeoutError: No item came within 0.01 s. ...
    """
    checked_seconds("seconds", seconds)

    def timeout_first_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            waiting = True
            error = FirstEventTimeoutError(
                f"No item came within {seconds} s. If the source needs longer to begin, raise the "
                "seconds of timeout_first."
            )
            clock = idle_clock(observer, scope, error, first=seconds)
            on_next_ = observer.on_next

            def on_next(item: T) -> None:
                nonlocal waiting
                if waiting:
                    waiting = False
                    clock.stop()
                on_next_(item)

            clock.start()
            scope.subscribe(source, on_next, observer.on_error, observer.on_completed)

        return timed(subscribe)

    return timeout_first_
