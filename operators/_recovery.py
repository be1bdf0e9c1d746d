"""What the operators share that start a stream again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import ErrorEvent

T = TypeVar("T")


def is_content(item: object) -> bool:
    """Tell whether `item` is some of an answer: once seen, starting again would repeat it."""
    if type(item) is StreamChunk:
        return item.has_content
    return type(item) is not ErrorEvent


class Recoverable(Generic[T]):
    """Hands a stream on that may yet be started again.

    An `ErrorEvent` waits for its `on_error`: if the stream recovers, nobody sees it. What the
    observer raises is no failure of the stream, and nothing is started again after it.

    Args:
        observer: Takes the items.
        on_reset: Makes the item that takes back what came before; `None` where nothing can.
    """

    __slots__ = ("_delivered", "_held", "_is_broken", "_observer", "_on_next", "_on_reset")

    def __init__(
        self, observer: abc.ObserverBase[T], on_reset: Callable[[Exception], T] | None
    ) -> None:
        self._observer = observer
        self._on_next = observer.on_next
        self._on_reset = on_reset
        self._delivered = False
        self._is_broken = False
        self._held: list[T] = []

    @property
    def may_restart(self) -> bool:
        """Whether starting again would repeat nothing, or can be told."""
        may_tell = not self._delivered or self._on_reset is not None
        return may_tell and not self._is_broken

    def on_next(self, item: T) -> None:
        """Hand an item on."""
        try:
            if self._delivered and type(item) is not ErrorEvent and not self._held:
                self._on_next(item)
            else:
                self._look_at(item)
        except Exception:
            self._is_broken = True
            raise

    def restart(self, error: Exception) -> bool:
        """Take back what came before `error`; where making the reset fails, so does the stream."""
        self._held.clear()
        if self._delivered and self._on_reset is not None:
            try:
                reset = self._on_reset(error)
            except Exception as failure:
                self.fail(failure)
                return False
            self._delivered = False
            self._on_next(reset)
        return True

    def fail(self, error: Exception) -> None:
        """End the stream with `error`."""
        self._release()
        self._observer.on_error(error)

    def complete(self) -> None:
        """End the stream."""
        self._release()
        self._observer.on_completed()

    def _look_at(self, item: T) -> None:
        self._release()
        if type(item) is ErrorEvent:
            self._held.append(item)
            return
        self._delivered = self._delivered or is_content(item)
        self._on_next(item)

    def _release(self) -> None:
        while self._held:
            self._on_next(self._held.pop())
