"""What the operators that limit time share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import abc

from rxagents.core.errors import StreamTimeoutError
from rxagents.runtime.timed_scope import TimedScope

T = TypeVar("T")


def expiry(
    observer: abc.ObserverBase[T], scope: TimedScope, error: StreamTimeoutError
) -> Callable[[], None]:
    """Return what ends the sources, and then the stream with `error`."""

    def expire() -> None:
        scope.dispose()
        observer.on_error(error)

    return expire
