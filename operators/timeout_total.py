"""Limit the time of a whole stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import TotalTimeoutError
from rxagents.operators._timeouts import expiry
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def timeout_total(seconds: float) -> Callable[[Observable[T]], Observable[T]]:
    """Fail the stream when it does not end in time, even if items still come.

    .. marble::
        --1--2--3--4--5--6-|
        [ timeout_total(10) ]
        --1--2--3-#
        time: 1 s per character

    Emits when: the source emits.
    Backpressures when: downstream does; the clock runs on meanwhile.
    Completes when: the source completes.

    Args:
        seconds: The longest time from the subscription to the end.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `seconds` is not a number above 0.
        TotalTimeoutError: In the stream, if the time runs out. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> rxagents.run(rx.never().pipe(ops.timeout_total(0.01)))
        Traceback (most recent call last):
        rxagents.core.errors.TotalTimeoutError: The stream took longer than 0.01 s in all. ...
    """
    checked_seconds("seconds", seconds)

    def timeout_total_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            error = TotalTimeoutError(
                f"The stream took longer than {seconds} s in all. If it may take longer, raise the "
                "seconds of timeout_total."
            )
            scope.timer(expiry(observer, scope, error)).start(seconds)
            scope.subscribe(source, observer.on_next, observer.on_error, observer.on_completed)

        return timed(subscribe)

    return timeout_total_
