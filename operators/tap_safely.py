"""Observe a stream without risk to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.reporting import report_harmless

T = TypeVar("T")
P = ParamSpec("P")


@operator_factory
def tap_safely(
    on_next: Callable[[T], object] | None = None,
    on_error: Callable[[Exception], object] | None = None,
    on_completed: Callable[[], object] | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Call functions for the items and the end of a stream; what they raise leaves it unharmed.

    With reactivex's `tap`, an exception of a callback ends the stream. Here it goes to the loop's
    exception handler.

    .. marble::
        --1--2--3--|
        [ tap_safely(log) ]
        --1--2--3--|

    Emits when: the source emits, after the call of `on_next`.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        on_next: Called with each item.
        on_error: Called with the source's error.
        on_completed: Called when the source completes.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if no function is given, or something else. The source's
            errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> rx.of(1, 2).pipe(ops.tap_safely(lambda item: print("saw", item))).subscribe(print)
        saw 1
        1
        saw 2
        2
        <...>
    """
    callbacks = {"on_next": on_next, "on_error": on_error, "on_completed": on_completed}
    given = {name: callback for name, callback in callbacks.items() if callback is not None}
    if not given:
        raise ConfigurationError(
            "tap_safely needs at least one function: on_next, on_error or on_completed."
        )
    for name, callback in given.items():
        checked_function(name, callback)
        if inspect.iscoroutinefunction(callback):
            raise ConfigurationError(
                f"tap_safely cannot await {name}, which is a coroutine function: use map_async."
            )

    def tap_safely_(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return source.subscribe(
                _before(on_next, observer.on_next),
                _before(on_error, observer.on_error),
                _before(on_completed, observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    return tap_safely_


def _before(callback: Callable[P, object] | None, emit: Callable[P, None]) -> Callable[P, None]:
    """Return a function that calls `callback` and then `emit`."""
    if callback is None:
        return emit

    def call_and_emit(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except BaseException as error:
            report_harmless(error, "A callback of tap_safely raised")
        emit(*args, **kwargs)

    return call_and_emit
