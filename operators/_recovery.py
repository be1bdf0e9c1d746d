"""Pass on a stream that may be started again after a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import abc

from rxagents.core.content import is_content
from rxagents.core.events import ErrorEvent, TurnStart
from rxagents.runtime.reporting import nonfatal

# Theory of operation
#
# Goal: after a failure another stream continues, and the subscriber sees no item twice.
#
# `RestartableObserver` stands between the source and the subscriber. Before any content there is
# nothing to take back, so a restart is silent. After it, a restart needs `on_reset`, whose item
# states that everything before it is void. `_delivered` is True from the first content until that
# item.
#
# A failing agent emits an `ErrorEvent` and then `on_error`. The event is held until it is known
# whether the stream recovers: `restart` drops it, `fail` and `complete` emit it, and so does the
# next item, since the event was then not the last one. The start of a run's turn is held likewise
# until something follows it, so that a run that fails before its first text is started again
# silently.
#
# What the subscriber raises passes through `on_next` into the source, which may be one that catches
# it and calls `on_error` (sources of reactivex that emit inside `subscribe` do). That is no failure
# of the source: `_observer_raised` forbids every restart after it.
#
# The path of a token is one comparison: `_delivered` and not an `ErrorEvent` and nothing held.

T = TypeVar("T")


class RestartableObserver(Generic[T]):
    """Passes a stream on to an observer until the stream ends or is started again.

    Args:
        observer: The subscriber.
        on_reset: Makes, from an error, the item that makes all items before it void; `None` if
            there is no such item.
    """

    __slots__ = ("_delivered", "_held", "_observer", "_observer_raised", "_on_next", "_on_reset")

    def __init__(
        self, observer: abc.ObserverBase[T], on_reset: Callable[[Exception], T] | None
    ) -> None:
        self._observer = observer
        self._on_next = observer.on_next
        self._on_reset = on_reset
        self._delivered = False
        self._observer_raised = False
        self._held: list[T] = []

    @property
    def has_delivered(self) -> bool:
        """Whether content was delivered that no reset has made void."""
        return self._delivered

    @property
    def observer_raised(self) -> bool:
        """Whether the subscriber raised: the error that follows is not the source's."""
        return self._observer_raised

    @property
    def may_restart(self) -> bool:
        """Whether a restart is allowed: nothing delivered yet, or a reset can be sent."""
        can_restart = not self._delivered or self._on_reset is not None
        return can_restart and not self._observer_raised

    def on_next(self, item: T) -> None:
        """Emit an item, or hold it: an `ErrorEvent`, or a `TurnStart` before any content."""
        try:
            if self._delivered and type(item) is not ErrorEvent and not self._held:
                self._on_next(item)
            else:
                self._emit_or_hold(item)
        except BaseException:
            self._observer_raised = True
            raise

    def restart(self, error: Exception) -> bool:
        """Emit the reset, if one is needed; return False if making it failed the stream."""
        self._held.clear()
        if self._delivered and self._on_reset is not None:
            try:
                reset = self._on_reset(error)
            except BaseException as failure:
                self.fail(nonfatal(failure))
                return False
            self._delivered = False
            self._on_next(reset)
        return True

    def fail(self, error: Exception) -> None:
        """Emit `error` after the events that are held."""
        self._release()
        self._observer.on_error(error)

    def complete(self) -> None:
        """Complete."""
        self._release()
        self._observer.on_completed()

    def _emit_or_hold(self, item: T) -> None:
        is_error = type(item) is ErrorEvent
        follows_start = bool(self._held) and type(self._held[-1]) is TurnStart
        if not (is_error and follows_start):
            self._release()
        if is_error or (type(item) is TurnStart and not self._delivered):
            self._held.append(item)
            return
        self._delivered = self._delivered or is_content(item)
        self._on_next(item)

    def _release(self) -> None:
        while self._held:
            self._on_next(self._held.pop(0))
