"""Emit something while the source is silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_function, checked_seconds
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")
H = TypeVar("H")

_RESOLUTION = 1e-6
"""Seconds. Sums of times miss by a rounding error, and virtual time has no finer step."""


@operator_factory
def heartbeat(every: float, make: Callable[[], H]) -> Callable[[Observable[T]], Observable[T | H]]:
    """Emit an item of your own whenever the source has been silent for some seconds.

    So a proxy or a page sees that a connection lives while the model thinks. The silence before the
    first item counts, too. One timer serves all items.

    .. marble::
        --1-----------2--|
        [ heartbeat(5, make) ]
        --1----h----h-2--|
        time: 1 s per character
        legend: h = what make() returns

    Emits when: the source emits, or neither it nor this operator has for `every` seconds.
    Backpressures when: downstream does; no heartbeat is emitted meanwhile.
    Completes when: the source completes.

    Args:
        every: The seconds of silence before a heartbeat, and between two of them.
        make: Returns the item of a heartbeat.

    Returns:
        An operator that leaves the source's items as they are.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value.
        Exception: In the stream, what `make` raises. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> slow = rx.concat(rx.empty().pipe(ops.heartbeat(1, str)), rx.timer(0.05))
        >>> rxagents.run(slow.pipe(ops.heartbeat(0.03, lambda: "still thinking")), print)
        still thinking
        0
        0
    """
    checked_seconds("every", every)
    checked_function("make", make)

    def heartbeat_(source: Observable[T]) -> Observable[T | H]:
        def subscribe(observer: abc.ObserverBase[T | H], scope: TimedScope) -> None:
            heart = _Heart(observer, scope, every, make)
            scope.subscribe(source, heart.on_next, observer.on_error, observer.on_completed)
            heart.start()

        return timed(subscribe)

    return heartbeat_


class _Heart(Generic[T, H]):
    """The timer of one subscription. An item notes its time and leaves the timer alone."""

    __slots__ = ("_emit", "_every", "_gate", "_last", "_make", "_now", "_observer", "_scope",
                 "_timer")  # fmt: skip

    def __init__(
        self,
        observer: abc.ObserverBase[T | H],
        scope: TimedScope,
        every: float,
        make: Callable[[], H],
    ) -> None:
        self._observer = observer
        self._emit = observer.on_next
        self._scope = scope
        self._gate = scope.gate
        self._every = every
        self._make = make
        self._now = scope.now
        self._last = scope.now()
        self._timer = scope.timer(self._beat)

    def start(self) -> None:
        """Wait for `every` seconds of silence."""
        self._last = self._now()
        if not self._scope.is_disposed:
            self._timer.start(self._every)

    def on_next(self, item: T) -> None:
        self._last = self._now()
        self._emit(item)

    def _beat(self) -> None:
        if self._gate.closed:
            self._gate.when_open(self.start)
            return
        early = self._last + self._every - self._now()
        if early > _RESOLUTION:
            self._timer.start(early)
            return
        try:
            item = self._make()
        except Exception as error:
            self._scope.dispose()
            self._observer.on_error(error)
            return
        self.start()  # before the item: its subscriber may dispose the stream
        self._emit(item)
