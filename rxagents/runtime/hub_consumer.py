"""One consumer of a hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import abc
from reactivex.disposable import Disposable

from rxagents.runtime.bridge import Gate
from rxagents.runtime.overflow import Buffer, Overflow, buffer_for
from rxagents.runtime.timed_scope import TimedScope

T = TypeVar("T")


class HubConsumer(Generic[T]):
    """Delivers the items of a hub to one subscriber, and keeps those it has no room for.

    While the subscriber's gate is open, items pass. While it is closed they go to the buffer,
    which acts as the overflow policy says.

    Args:
        scope: The subscription.
        capacity: How many items may wait.
        overflow: The policy for more.
        on_room: Called when the buffer has room again.

    Attributes:
        gate: Closed while the buffer is full, with a policy that stops the producers.
    """

    __slots__ = ("_buffer", "_downstream", "_ending", "_has_ended", "_is_waiting", "_observer",
                 "_on_room", "_scope", "gate")  # fmt: skip

    def __init__(
        self, scope: TimedScope, capacity: int, overflow: Overflow, on_room: Callable[[], None]
    ) -> None:
        self.gate = Gate()
        self._buffer: Buffer[T] = buffer_for(overflow, capacity, self.gate, self.end)
        self._scope = scope
        self._downstream = scope.gate
        self._on_room = on_room
        self._observer: abc.ObserverBase[T] | None = None
        self._is_waiting = self._has_ended = False
        self._ending: Exception | None = None

    def attach(
        self, observer: abc.ObserverBase[T], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        """Deliver to `observer`: the subscribe function of the consumer's source."""
        self._observer = observer
        return Disposable()

    def put(self, item: T) -> None:
        """Deliver an item, or keep it."""
        observer = self._observer
        if self._is_waiting:
            self._buffer.put(item)
        elif observer is not None and not self._has_ended:
            observer.on_next(item)
            if self._downstream.closed:
                self._wait()

    def end(self, error: Exception | None = None) -> None:
        """Deliver the end after the items that wait."""
        if not self._has_ended:
            self._has_ended, self._ending = True, error
            self._buffer.ended = True
            if not self._is_waiting:
                self._deliver_end()

    def _wait(self) -> None:
        self._is_waiting = True
        self._downstream.when_open(self._on_open)

    def _on_open(self) -> None:
        if not self._scope.is_disposed:
            self._scope.run(self._deliver_waiting)

    def _deliver_waiting(self) -> None:
        queue, observer = self._buffer.queue, self._observer
        assert observer is not None, "items come after the subscription"
        while queue and not self._downstream.closed:
            observer.on_next(queue.popleft())
        if self.gate.closed and len(queue) <= self._buffer.low:
            self.gate.open()
            self._on_room()
        if queue or self._downstream.closed:
            self._wait()
            return
        self._is_waiting = False
        if self._has_ended:
            self._deliver_end()

    def _deliver_end(self) -> None:
        observer = self._observer
        if observer is None:
            return
        if self._ending is None:
            observer.on_completed()
        else:
            observer.on_error(self._ending)
