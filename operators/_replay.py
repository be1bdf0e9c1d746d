"""Keep the last items of a stream, and let each subscriber read them at its own pace."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct
from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.errors import BackpressureError
from rxagents.runtime.timed_scope import TimedScope

# Theory of operation
#
# Goal: a late or slow subscriber gets the items that are still kept, in order and once each, and
# holds up nobody.
#
# One `ReplayBuffer` stands before `share_bounded` and keeps each item before it is delivered. One
# `ReplayReader` per subscriber stands after it. An item that reaches a reader only signals that
# there is more to read: the reader always reads from the buffer, at its own `_next_id`. So old and
# live items cannot overlap or leave a gap, and there is no queue per subscriber.
#
# A reader is paused while it waits for its first turn or for its gate, and while it delivers an
# item: the loop in `_read` finds an item that comes meanwhile. Only `_read` delivers, so delivery
# never nests. The end is noted, and delivered after the items before it.
#
# Ids go on over the runs of one Observable; `start_id` is the first id of the present run. A run
# that was cancelled is forgotten, one that ended is not: see `filled_from`. A reader that joined
# before a new run began must not fall behind because of items of the old one: `start_id` moves it.

T = TypeVar("T")


class Replayed(Struct, Generic[T], frozen=True):
    """An item of `replay_bounded` with its id.

    Attributes:
        id: Counted from 1, and never used twice: it can serve as the id of a server-sent event.
        item: The source's item.
    """

    id: int
    item: T


class ReplayBuffer(Generic[T]):
    """The last items of the run, by their ids.

    Attributes:
        capacity: How many items are kept.
        start_id: The id of the first item of the run.
        next_id: The id that the next item gets.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.next_id = 1
        self.start_id = 1
        # A dict, since indexing a deque in its middle takes time that grows with its length.
        self._items: dict[int, Replayed[T]] = {}

    @property
    def first_id(self) -> int:
        """The id of the oldest item that is kept."""
        return self.next_id - len(self._items)

    def get(self, item_id: int) -> Replayed[T]:
        """Return an item that is kept."""
        return self._items[item_id]

    def filled_from(self, source: Observable[T]) -> Observable[Replayed[T]]:
        """Return an Observable that keeps the source's items, and forgets a cancelled run."""

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
        item_id = self.next_id
        kept = self._items[item_id] = Replayed(item_id, item)
        self.next_id = item_id + 1
        if len(self._items) > self.capacity:
            del self._items[item_id - self.capacity]
        return kept

    def _forget(self) -> None:
        self._items.clear()
        self.start_id = self.next_id


class ReplayReader(Generic[T]):
    """Reads the buffer for one subscriber."""

    def __init__(
        self, observer: abc.ObserverBase[Replayed[T]], scope: TimedScope, buffer: ReplayBuffer[T]
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._buffer = buffer
        self._is_paused = buffer.first_id < buffer.next_id
        # 0 where there are old items: which of them is the oldest is known only at the first turn.
        self._next_id = 0 if self._is_paused else buffer.next_id
        self._ended = False
        self._error: Exception | None = None

    def start(self) -> None:
        """Read the kept items, if there are any, on the next loop iteration."""
        if self._is_paused:
            self._scope.timer(self._read).start(0)

    def on_next(self, item: Replayed[T]) -> None:
        """Read the item that was just kept."""
        if self._is_paused:
            return
        if item.id != self._next_id or self._scope.gate.closed:
            self._read()
            return
        # The usual case, without a look at the buffer: this reader has had all items before it.
        self._is_paused = True
        self._next_id += 1
        self._observer.on_next(item)
        self._is_paused = False
        if self._ended or self._next_id < self._buffer.next_id:
            self._read()

    def end(self, error: Exception | None = None) -> None:
        """Note the source's end, and deliver it after the items that wait."""
        self._ended, self._error = True, error
        if not self._is_paused:
            self._read()

    def _on_gate_open(self) -> None:
        """Read now, not on the next loop iteration: a source at the same gate would emit first."""
        self._scope.run(self._read)

    def _read(self) -> None:
        buffer = self._buffer
        self._next_id = max(self._next_id or buffer.first_id, buffer.start_id)
        self._is_paused = True
        while self._next_id < buffer.next_id:
            if self._next_id < buffer.first_id:
                self._observer.on_error(_too_far_behind(buffer.capacity))
                return
            if self._scope.gate.closed:
                self._scope.gate.when_open(self._on_gate_open)
                return
            item = buffer.get(self._next_id)
            self._next_id += 1
            self._observer.on_next(item)
        self._is_paused = False
        if self._ended and self._error is not None:
            self._observer.on_error(self._error)
        elif self._ended:
            self._observer.on_completed()


def _too_far_behind(capacity: int) -> BackpressureError:
    return BackpressureError(
        f"A subscriber of replay_bounded fell more than capacity ({capacity}) items behind: the "
        "items that it has to read next are no longer kept. Read faster, or raise capacity."
    )
