"""What waits between a stream and a slower reader, one class a policy."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, Protocol, TypeVar, get_args

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import BackpressureError
from rxagents.core.events import Reasoning, StreamEvent, Thought, Token
from rxagents.core.joining import are_alike, is_text
from rxagents.runtime.bridge import Gate
from rxagents.runtime.queues import Joining, TwoLanes

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_UNGATED_LIMIT = 16_384
"""Items a source that ignores the gate may run ahead. With chunks this is some 10 MiB."""


class Overflow(StrEnum):
    """What happens when the reader is slower than the stream, and `capacity` items wait.

    No policy drops a tool, answer or terminal event. Text is lost under `DROP_OLDEST` alone.
    """

    BLOCK = "block"
    """The provider is not read until the reader has caught up."""
    DROP_OLDEST = "drop_oldest"
    """The stream is never slowed: the oldest item that may be dropped makes room.

    Of the events these are `Token`, `Reasoning` and `Thought`; of the chunks those with text or
    reasoning and without fragments of tool calls, a finish reason or a refusal. A dropped
    chunk's usage is not lost, since all that follow carry it or a newer one. Values of other
    types may be dropped.
    """
    ERROR = "error"
    """The stream is never slowed, and fails: after the items that wait for the reader comes
    `BackpressureError`. One network read may bring a burst, which the capacity has to hold."""
    REDUCE = "reduce"
    """No text is lost: the newest item that waits and the next are joined where they are alike.

    Alike are two `Token` events of one section, two `Reasoning` events, and two chunks of one
    choice and the same metadata that carry either nothing but text or nothing but reasoning. But
    for the text, all fields of the joined item are the newer one's, its timestamp too. Where they
    are not alike, this is `BLOCK`. What waits is as long as its text, which has no limit of its
    own.
    """


class Queue(Protocol[T_co]):
    """As much of a `deque` as a reader needs: it may be empty, and gives the oldest item."""

    def __len__(self) -> int: ...

    def popleft(self) -> T_co:
        """Take out the oldest item."""
        ...

    def clear(self) -> None:
        """Let go of all items."""
        ...


class Backlog(ABC, Generic[T]):
    """The items that wait for a reader, and the reader that waits for an item.

    At all times the items taken, dropped and waiting are those that were put; `REDUCE` makes
    one of several. The reader takes from `queue` by itself, and opens a closed gate when no
    more than `low` items are left.

    Args:
        capacity: How many may wait before the policy sets in.
        gate: Stops the source, where the policy wants that.
        fail: Called with the error when there is no room for an item; ends the stream.

    Attributes:
        queue: What waits, in the order of the stream.
        dropped: How many items were put that no reader will get.
        ended: Whether what is still put comes too late, and is ignored.
        waiter: Set by a reader that waits; done, and forgotten, when an item comes.
        low: How many items may wait when a closed gate opens.
    """

    queue: Queue[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        self.dropped = 0
        self.ended = False
        self.waiter: asyncio.Future[None] | None = None
        self.low = capacity // 2
        self._capacity = capacity
        self._limit = max(_UNGATED_LIMIT, 4 * capacity)
        self._gate = gate
        self._fail = fail

    def put(self, item: T) -> None:
        """Take in the stream's next item."""
        if self.ended:
            return
        self._add(item)
        if self.waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Tell the reader that waits, if one does, to look again."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @abstractmethod
    def _add(self, item: T) -> None:
        """Take in an item after the policy."""

    def _refuse(self, reason: str) -> None:
        self.dropped += 1
        self._fail(BackpressureError(reason))


class _Blocking(Backlog[T]):
    """Closes the gate when `capacity` items wait."""

    _items: deque[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = self._items = deque()

    def _add(self, item: T) -> None:
        self._items.append(item)
        waiting = len(self._items)
        if waiting >= self._capacity:
            self._gate.close()
            if waiting > self._limit:
                self._items.pop()
                self._refuse(_RUN_AWAY.format(self._limit))


class _Failing(Backlog[T]):
    """Has room for `capacity` items and not for one more."""

    _items: deque[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = self._items = deque()

    def _add(self, item: T) -> None:
        if len(self._items) < self._capacity:
            self._items.append(item)
        else:
            self._refuse(
                f"More than {self._capacity} items wait for the reader. Read faster, raise "
                "capacity, or choose another overflow than ERROR."
            )


class _DroppingOldest(Backlog[T]):
    """Drops the oldest item that may be, and never closes the gate."""

    _items: TwoLanes[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = self._items = TwoLanes()

    def _add(self, item: T) -> None:
        items = self._items
        items.append(item, kept=not _may_be_dropped(item))
        if len(items) <= self._capacity:
            return
        if items.drop_oldest():
            self.dropped += 1
        elif len(items) > self._limit:
            items.pop_kept()
            self._refuse(
                f"{self._limit} items wait for the reader, and none of them may be dropped. Read "
                "faster, or raise capacity."
            )


class _Reducing(Backlog[T]):
    """Joins where it can, and blocks where it cannot."""

    _items: Joining[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = self._items = Joining()

    def _add(self, item: T) -> None:
        items = self._items
        if len(items) >= self._capacity and _may_join(items[-1], item):
            items.extend_newest(item)
            return
        items.append(item)
        waiting = len(items)
        if waiting > self._capacity or (waiting == self._capacity and not _is_token(item)):
            self._gate.close()
            if waiting > self._limit:
                items.pop()
                self._refuse(_RUN_AWAY.format(self._limit))


_RUN_AWAY = (
    "{} items wait for the reader, and the source cannot be stopped: an operator on the way lost "
    "the demand. Read faster, or raise capacity."
)


def backlog(
    overflow: Overflow, capacity: int, gate: Gate, fail: Callable[[Exception], None]
) -> Backlog[T]:
    """Return an empty backlog with the policy `overflow`; see `Backlog`."""
    match overflow:
        case Overflow.BLOCK:
            return _Blocking(capacity, gate, fail)
        case Overflow.DROP_OLDEST:
            return _DroppingOldest(capacity, gate, fail)
        case Overflow.ERROR:
            return _Failing(capacity, gate, fail)
        case Overflow.REDUCE:
            return _Reducing(capacity, gate, fail)


def _may_join(older: object, newer: object) -> bool:
    return _is_token(older) and _is_token(newer) and are_alike(older, newer)


def _is_token(item: object) -> bool:
    """A `str` may be a value of any kind, such as a sentence, whose neighbour stands by itself."""
    return type(item) is not str and is_text(item)


_DROPPABLE = (Token, Reasoning, Thought)
_KEPT = tuple(kind for kind in get_args(StreamEvent) if kind not in _DROPPABLE)


def _may_be_dropped(item: object) -> bool:
    if isinstance(item, StreamChunk):
        told = item.tool_calls or item.finish_reason or item.refusal
        return not told and (item.delta != "" or item.reasoning != "")
    return not isinstance(item, _KEPT)
