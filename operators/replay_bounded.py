"""One subscription for many subscribers, and the past for those who come late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.checks import checked_count
from rxagents.core.errors import LimitExceededError
from rxagents.core.replayed import Replayed
from rxagents.operators._sharing import WhenAbandoned, is_cancelled
from rxagents.operators.share_bounded import share_bounded
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


def replay_bounded(
    capacity: int, *, when_abandoned: WhenAbandoned = "cancel"
) -> Callable[[Observable[T]], Observable[Replayed[T]]]:
    """Share one subscription, as `share_bounded` does; late subscribers get the last items first.

    A subscriber that comes back leaves out what it has seen by the ids, and knows by a gap in
    them that some is gone. Each reads at its own pace from the items that are kept, and holds up
    nobody; one that falls further behind fails. The past stays after the end.

    .. marble::
        --a-----b-----c-----|
        [ replay_bounded(2) ]
        --1a----2b----3c----|
        -----------(1a,2b)--3c----|

    Emits when: the source emits, and on subscription for the past.
    Backpressures when: all subscribers do; one that has room is enough to go on.
    Completes when: the source has completed and the subscriber has had its items.

    Args:
        capacity: How many items are kept.
        when_abandoned: What happens to the source when the last subscriber leaves: `"cancel"`
            it, and forget the past, or let it `"continue"` to its end.

    Returns:
        An operator from an Observable to one that shares its items, each with its number.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type or size; in the stream,
            if no event loop is running.
        LimitExceededError: In the stream of a subscriber that more than `capacity` items wait
            for. The source's errors pass, to all subscribers.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> letters = rx.of("a", "b", "c").pipe(ops.replay_bounded(2, when_abandoned="continue"))
        >>> twice = rx.concat(letters, letters)
        >>> rxagents.run(twice, lambda replayed: print(replayed.id, replayed.item))
        1 a
        2 b
        3 c
        2 b
        3 c
        Replayed(id=3, item='c')
    """
    checked_count("capacity", capacity)
    is_cancelled(when_abandoned)

    def replay_bounded_(source: Observable[T]) -> Observable[Replayed[T]]:
        past = _Past[T](capacity)
        live = past.recorded(source).pipe(share_bounded(when_abandoned=when_abandoned))

        def subscribe(observer: abc.ObserverBase[Replayed[T]], scope: TimedScope) -> None:
            reader = _Reader(observer, scope, past)
            scope.subscribe(live, reader.on_next, reader.end, reader.end)
            reader.start()  # with the past, if there is any

        return timed(subscribe)

    return replay_bounded_


class _Past(Generic[T]):
    """The last items, by their numbers.

    Attributes:
        start_id: The number of the first item of the run.
        next_id: The number of the next item.
    """

    def __init__(self, capacity: int) -> None:
        self.next_id = 1
        self.start_id = 1
        self._items: deque[Replayed[T]] = deque(maxlen=capacity)

    @property
    def first_id(self) -> int:
        """The number of the oldest item that is kept."""
        return self.next_id - len(self._items)

    def get(self, number: int) -> Replayed[T]:
        """Return an item that is kept."""
        return self._items[number - self.first_id]

    def recorded(self, source: Observable[T]) -> Observable[Replayed[T]]:
        """Return the source's items, numbered and kept; what was cancelled is forgotten."""

        def subscribe(
            observer: abc.ObserverBase[Replayed[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            has_ended = False

            def on_next(item: T) -> None:
                observer.on_next(self._keep(item))

            def on_error(error: Exception) -> None:
                nonlocal has_ended
                has_ended = True
                observer.on_error(error)

            def on_completed() -> None:
                nonlocal has_ended
                has_ended = True
                observer.on_completed()

            def forget_cancelled() -> None:
                if not has_ended:
                    self._forget()

            self._forget()
            subscription = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
            return CompositeDisposable(subscription, Disposable(forget_cancelled))

        return Observable(subscribe)

    def _keep(self, item: T) -> Replayed[T]:
        kept = Replayed(self.next_id, item)
        self.next_id += 1
        self._items.append(kept)
        return kept

    def _forget(self) -> None:
        self._items.clear()
        self.start_id = self.next_id


class _Reader(Generic[T]):
    """One subscriber, and how far it has read."""

    def __init__(
        self, observer: abc.ObserverBase[Replayed[T]], scope: TimedScope, past: _Past[T]
    ) -> None:
        self._observer = observer
        self._gate = scope.gate
        self._past = past
        self._is_paused = past.first_id < past.next_id
        self._next_id = 0 if self._is_paused else past.next_id
        self._ended = False
        self._error: Exception | None = None
        self._timer = scope.timer(self._read)

    def start(self) -> None:
        """Read on, though not within the caller."""
        if self._is_paused:
            self._timer.start(0)

    def on_next(self, _: Replayed[T]) -> None:
        """Read what has just been kept."""
        if not self._is_paused:
            self._read()

    def end(self, error: Exception | None = None) -> None:
        """Note the source's end, which comes after the items that wait."""
        self._ended, self._error = True, error
        if not self._is_paused:
            self._read()

    def _read(self) -> None:
        past = self._past
        self._next_id = max(self._next_id or past.first_id, past.start_id)
        self._is_paused = True  # what comes while an item is handed on waits for its turn
        while self._next_id < past.next_id:
            if self._next_id < past.first_id:
                self._observer.on_error(LimitExceededError(_TOO_FAR_BEHIND))
                return
            if self._gate.closed:
                self._gate.when_open(self.start)
                return
            item = past.get(self._next_id)
            self._next_id += 1
            self._observer.on_next(item)
        self._is_paused = False
        if self._ended and self._error is not None:
            self._observer.on_error(self._error)
        elif self._ended:
            self._observer.on_completed()


_TOO_FAR_BEHIND = (
    "A subscriber of replay_bounded fell so far behind that items it had not read are no longer "
    "kept. Read faster, or raise capacity."
)
