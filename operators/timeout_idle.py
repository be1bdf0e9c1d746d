"""Patience with a stream that has fallen silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import IdleTimeoutError
from rxagents.operators._timeouts import idle_clock
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


def timeout_idle(seconds: float) -> Callable[[Observable[T]], Observable[T]]:
    """Fail the stream when the next item does not come in time.

    The clock starts with the first item: a model may think for minutes before it begins, and
    `timeout_first` is for that. There is one timer, however many items come.

    .. marble::
        --1--2----------3-|
        [ timeout_idle(5) ]
        --1--2-----#

    Emits when: the source emits.
    Backpressures when: downstream does; the clock stands still meanwhile.
    Completes when: the source completes.

    Args:
        seconds: How long to wait for the next item, from each item on.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: At once, if `seconds` is not a number above 0.
        IdleTimeoutError: In the stream, if time runs out. The source's errors pass.

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
                f"No further item came within {seconds} s. If the source pauses for longer, give "
                "timeout_idle more seconds."
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
