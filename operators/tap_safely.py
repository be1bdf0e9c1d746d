"""Side effects that cannot harm the stream."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.reporting import report_harmless

T = TypeVar("T")
P = ParamSpec("P")


def tap_safely(
    on_next: Callable[[T], object] | None = None,
    on_error: Callable[[Exception], object] | None = None,
    on_completed: Callable[[], object] | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Watch a stream; what the watcher raises is reported, and the stream goes on.

    reactivex's `tap` ends the stream with what its callbacks raise. Here the loop's exception
    handler is told.

    .. marble::
        --1--2--3--|
        [ tap_safely(log) ]
        --1--2--3--|

    Emits when: the source emits, after the watcher was called.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        on_next: Called with each item.
        on_error: Called with the source's error.
        on_completed: Called when the source completes.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: At once, if there is no function, or one that is none. The source's
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
    watchers = {"on_next": on_next, "on_error": on_error, "on_completed": on_completed}
    given = {name: watcher for name, watcher in watchers.items() if watcher is not None}
    if not given:
        raise ConfigurationError("tap_safely has nothing to call: give it on_next, for example.")
    for name, watcher in given.items():
        checked_function(name, watcher)
        if inspect.iscoroutinefunction(watcher):
            raise ConfigurationError(
                f"{name} is a coroutine function, which nothing here would await: use map_async."
            )

    def tap_safely_(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return source.subscribe(
                _after(on_next, observer.on_next),
                _after(on_error, observer.on_error),
                _after(on_completed, observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    return tap_safely_


def _after(watch: Callable[P, object] | None, hand_on: Callable[P, None]) -> Callable[P, None]:
    """Return what watches, and then hands on."""
    if watch is None:
        return hand_on

    def watch_and_hand_on(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            watch(*args, **kwargs)
        except Exception as error:
            report_harmless(error, "A watcher of a stream raised")
        hand_on(*args, **kwargs)

    return watch_and_hand_on
