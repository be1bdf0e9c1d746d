"""Check text before the subscriber sees it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from reactivex import Observable, abc, compose
from reactivex import operators as rx_ops

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.operators._windows import PendingItems, Window
from rxagents.operators.map_async import map_async
from rxagents.runtime.factories import operator_factory

T = TypeVar("T")


@operator_factory
def guard_window(
    check: Callable[[str], bool] | Callable[[str], Awaitable[bool]], size: int
) -> Callable[[Observable[T]], Observable[T]]:
    """Hold text back until `check` has seen it together with what follows; then release it or fail.

    The last `size` characters always wait, so `check` sees anything of up to `size` characters
    whole before any of it is released. The text of an item is a `str` itself, a chunk's text,
    reasoning and refusal, and the content of `Token`, `Reasoning`, `Thought`, `Answer` and
    `Complete`. All text is checked as one, in the order of arrival: where a request asked for
    several choices, guard each choice by itself. Items without text keep their place.

    .. marble::
        --a--b--c--d---------|
        [ guard_window(is_harmless, size=2) ]
        -----------(a)(b)----(c)(d|)

    Emits when: twice `size` characters wait, `size` of them not yet checked, and `check` returns
        True: all but the last `size` characters.
    Backpressures when: downstream does, and while an asynchronous check runs.
    Completes when: the source has completed and the rest has passed the check.

    Args:
        check: Called with the text that waits, some of which it may have seen before; returns
            whether the text may be released. It may be a coroutine function.
        size: How many characters to hold back.

    Returns:
        An operator that leaves the items (`str`, chunks or events) as they are.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the
            stream, if `check` returns neither True nor False.
        OutputError: In the stream, if `check` returns False; nothing that it saw for the first
            time is released.
        Exception: In the stream, whatever `check` raises. The source's errors pass, after the
            waiting text was checked.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> pieces = rx.of("The pass", "word is ", "swordfish.")
        >>> guard = ops.guard_window(lambda text: "password" not in text, size=10)
        >>> pieces.pipe(guard).subscribe(print, print)
        The check of guard_window refused the model's output. ...
        <...>
    """
    checked_function("check", check)
    checked_count("size", size)
    return compose(_windows(size), _checked(check), _released())


def _windows(size: int) -> Callable[[Observable[T]], Observable[Window[T]]]:
    def windows(source: Observable[T]) -> Observable[Window[T]]:
        def subscribe(
            observer: abc.ObserverBase[Window[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            pending = PendingItems[T](size)

            def on_next(item: T) -> None:
                window = pending.add(item)
                if window is not None:
                    observer.on_next(window)

            def on_error(error: Exception) -> None:
                observer.on_next(pending.rest())
                observer.on_error(error)

            def on_completed() -> None:
                observer.on_next(pending.rest())
                observer.on_completed()

            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return windows


def _checked(
    check: Callable[[str], Any],
) -> Callable[[Observable[Window[T]]], Observable[Window[T]]]:
    async def check_later(window: Window[T]) -> Window[T]:
        return _passed(window, not window.text or await check(window.text))

    def check_now(window: Window[T]) -> Window[T]:
        return _passed(window, not window.text or check(window.text))

    return map_async(check_later) if _is_async(check) else rx_ops.map(check_now)


def _is_async(function: Callable[[str], object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # a class may define it async
    )


def _passed(window: Window[T], verdict: object) -> Window[T]:
    if not isinstance(verdict, bool):
        raise ConfigurationError(
            f"The check of guard_window must return True or False, not {type(verdict).__name__}; "
            "an asynchronous check must be a coroutine function."
        )
    if not verdict:
        raise OutputError(
            "The check of guard_window refused the model's output. The text that waited is "
            "dropped; text that was released before had passed the check. Ask the model again, or "
            "change the check."
        )
    return window


def _released() -> Callable[[Observable[Window[T]]], Observable[T]]:
    def released(source: Observable[Window[T]]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(window: Window[T]) -> None:
                for item in window.items:
                    observer.on_next(item)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return released
