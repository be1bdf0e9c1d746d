"""Join small pieces of text into larger ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.joining import can_join, only_text_of, with_text
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def coalesce(
    delay: float = 0.05, *, size: int | None = None
) -> Callable[[Observable[T]], Observable[T]]:
    """Join neighbouring pieces of text, for a screen or a socket that wants fewer of them.

    It joins texts (`str`), `Token` events of one section and path, `Reasoning` events of one path,
    and chunks that carry only text or only reasoning. Every other item passes at once, after the
    text before it. No text is lost, repeated or reordered. A joined item has the fields of its last
    piece, except for the text.

    .. marble::
        --a-b-c------d---|
        [ coalesce(6) ]
        --------abc------(d|)
        time: 1 s per character

    Emits when: the oldest waiting piece has waited `delay` seconds, `size` characters wait, an
        item comes that cannot be joined, or the source ends.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        delay: The longest time that a piece waits, in seconds.
        size: Emit as soon as this many characters wait; `None` for no limit. Pieces are not cut.

    Returns:
        An operator that joins items and keeps their type.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value. The source's
            errors pass, after the text before them.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> rxagents.run(rx.of("Hel", "lo", " you").pipe(ops.coalesce(size=5)), print)
        Hello
         you
        ' you'
    """
    checked_seconds("delay", delay)
    if size is not None:
        checked_count("size", size)

    def coalesce_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            window = _Window(observer, scope, delay, size)
            scope.subscribe(source, window.on_next, window.on_error, window.on_completed)

        return timed(subscribe)

    return coalesce_


class _Window(Generic[T]):
    """The pieces that wait. One timer serves them: pieces and full windows do not restart it."""

    __slots__ = ("_delay", "_due", "_newest", "_observer", "_pieces", "_scope", "_size", "_timer",
                 "_waiting")  # fmt: skip

    def __init__(
        self, observer: abc.ObserverBase[T], scope: TimedScope, delay: float, size: int | None
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._delay = delay
        self._size = math.inf if size is None else size
        self._newest: T
        self._pieces: list[str] = []
        self._waiting = 0
        self._due = 0.0
        self._timer = scope.timer(self._on_timer)

    def on_next(self, item: T) -> None:
        text = only_text_of(item)
        if text is None:
            self._flush()
            self._observer.on_next(item)
            return
        joined_before: tuple[T, ...] = ()
        if self._pieces and not can_join(self._newest, item):
            joined_before = self._take()
        if not self._pieces:
            self._open()
        self._newest = item
        self._pieces.append(text)
        self._waiting += len(text)
        # Only now: a subscriber may make the source emit, and that item must find this one kept.
        for joined in joined_before:
            self._observer.on_next(joined)
        if self._waiting >= self._size:
            self._flush()

    def on_error(self, error: Exception) -> None:
        self._flush()
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._flush()
        self._observer.on_completed()

    def _open(self) -> None:
        self._due = self._scope.now() + self._delay
        if not self._timer.is_pending:
            self._timer.start(self._delay)

    def _on_timer(self) -> None:
        """Flush if the oldest piece is due; the timer may have been set for an earlier window."""
        early = self._due - self._scope.now()
        if self._pieces and early > 0:
            self._timer.start(early)
        else:
            self._flush()

    def _flush(self) -> None:
        for joined in self._take():
            self._observer.on_next(joined)

    def _take(self) -> tuple[T, ...]:
        """Remove the waiting pieces; return them joined, as one item or none."""
        pieces, self._pieces = self._pieces, []
        self._waiting = 0
        if not pieces:
            return ()
        return (self._newest if len(pieces) == 1 else with_text(self._newest, "".join(pieces)),)
