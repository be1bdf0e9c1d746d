"""What `replay_bounded` keeps, and how far each of its subscribers has read."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from msgspec import Struct
from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.errors import BackpressureError
from rxagents.runtime.timed_scope import TimedScope

T = TypeVar("T")


class Replayed(Struct, Generic[T], frozen=True):
    """An item with its number, as `replay_bounded` emits it.

    Attributes:
        id: Counted from 1, and never used again: an event id as server-sent events have it.
        item: The source's item.
    """

    id: int
    item: T


class Past(Generic[T]):
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


class Reader(Generic[T]):
    """One subscriber, and how far it has read."""

    def __init__(
        self, observer: abc.ObserverBase[Replayed[T]], scope: TimedScope, past: Past[T]
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._past = past
        self._is_paused = past.first_id < past.next_id
        self._next_id = 0 if self._is_paused else past.next_id
        self._ended = False
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin with the past, if there is any, though not within the subscription."""
        if self._is_paused:
            self._scope.timer(self._read).start(0)

    def on_next(self, _: Replayed[T]) -> None:
        """Read what has just been kept."""
        if not self._is_paused:
            self._read()

    def end(self, error: Exception | None = None) -> None:
        """Note the source's end, which comes after the items that wait."""
        self._ended, self._error = True, error
        if not self._is_paused:
            self._read()

    def _on_gate_open(self) -> None:
        """Read now, not on the next loop turn: a source at the same gate would emit first."""
        self._scope.run(self._read)

    def _read(self) -> None:
        past = self._past
        self._next_id = max(self._next_id or past.first_id, past.start_id)
        self._is_paused = True  # what comes while an item is handed on waits for its turn
        while self._next_id < past.next_id:
            if self._next_id < past.first_id:
                self._observer.on_error(BackpressureError(_TOO_FAR_BEHIND))
                return
            if self._scope.gate.closed:
                self._scope.gate.when_open(self._on_gate_open)
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
