"""Fail a stream whose time is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import abc

from rxagents.core.errors import StreamTimeoutError
from rxagents.runtime.idle_clock import IdleClock
from rxagents.runtime.timed_scope import TimedScope

T = TypeVar("T")


def expiry(
    observer: abc.ObserverBase[T], scope: TimedScope, error: StreamTimeoutError
) -> Callable[[], None]:
    """Return a function that disposes the sources and then fails the stream with `error`."""

    def expire() -> None:
        scope.dispose()
        observer.on_error(error)

    return expire


def idle_clock(
    observer: abc.ObserverBase[T],
    scope: TimedScope,
    error: StreamTimeoutError,
    *,
    first: float | None = None,
    idle: float | None = None,
) -> IdleClock:
    """Return the clock that fails the stream with `error` when no item comes in time.

    Args:
        observer: Gets the error.
        scope: The subscription: its time, timers and demand.
        error: What the stream fails with.
        first: Seconds to the first item; `None` for no limit.
        idle: Seconds from one item to the next; `None` for no limit.
    """
    expire = expiry(observer, scope, error)
    return IdleClock(scope.now, scope.timer, scope.gate, expire, first=first, idle=idle)
