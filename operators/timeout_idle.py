"""Limit the time between two items."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import IdleTimeoutError
from rxagents.operators._timeouts import idle_clock
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def timeout_idle(seconds: float) -> Callable[[Observable[T]], Observable[T]]:
    """Fail the stream when the next item does not come in time.

    The clock starts with the first item: a model may think for minutes before it begins, and
    `timeout_first` limits that time. One timer serves all items.

    .. marble::
        --1--2----------3-|
        [ timeout_idle(5) ]
        --1--2----#
        time: 1 s per character

    Emits when: the source emits.
    Backpressures when: downstream does; the clock is stopped meanwhile.
    Completes when: the source completes.

    Args:
        seconds: The longest time from one item to the next.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `seconds` is not a number above 0.
        IdleTimeoutError: In the stream, if the time runs out. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> stalled = rx.concat(rx.of(1), rx.never())
        >>> rxagents.run(stalled.pipe(ops.timeout_idle(0.01)), print)
        Traceback (most recent call last):
        rxagents.core.errors.IdleTimeoutError: No further item came within 0.01 s. ...
    """
    checked_seconds("seconds", seconds)

    def timeout_idle_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            error = IdleTimeoutError(
                f"No further item came within {seconds} s. If the source pauses for longer, raise "
                "the seconds of timeout_idle."
            )
            clock = idle_clock(observer, scope, error, idle=seconds)
            on_next_, note, gate = observer.on_next, clock.note, scope.gate

            def on_next(item: T) -> None:
                on_next_(item)
                note()
                if gate.closed:
                    clock.pause_until_open()

            scope.subscribe(source, on_next, observer.on_error, observer.on_completed)

        return timed(subscribe)

    return timeout_idle_
