"""Buffer the items between a stream and a slower reader, one class for each policy.

Theory of operation:

The source calls `put`, the reader takes from `queue`; both run on the loop's thread, so there is
no lock. The reader does not call the buffer for each item: it pops from the queue itself, and only
when the queue is empty does it leave a future in `waiter`, which the next `put` resolves. A deque
and one future took 702 ns an item, an `asyncio.Queue` 1,174 ns.

A full buffer closes the gate (policies `BLOCK` and `REDUCE`); the reader opens it again when the
queue is down to `low`, half of the capacity, so that the gate does not change with every item. A
source may still emit while the gate is closed: the rest of a network read, or for ever if an
operator on the way lost the bridge. For the latter there is a hard limit, which ends the stream.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum
from typing import Generic, Protocol, TypeVar, get_args

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import BackpressureError, ConfigurationError
from rxagents.core.events import Reasoning, StreamEvent, Thought, Token
from rxagents.core.joining import can_join, is_text
from rxagents.runtime.bridge import Gate
from rxagents.runtime.queues import DroppingQueue, JoiningQueue

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_UNGATED_LIMIT = 16_384
"""Items a source that ignores the gate may run ahead. With chunks this is some 10 MiB."""


class Overflow(StrEnum):
    """The policy for a reader that is slower than the stream, once `capacity` items wait.

    No policy drops a tool, answer or terminal event. Only `DROP_OLDEST` loses text.
    """

    BLOCK = "block"
    """Stop reading from the provider until the reader has caught up."""
    DROP_OLDEST = "drop_oldest"
    """Never slow the stream; drop the oldest item that may be dropped.

    Of the events, these are `Token`, `Reasoning` and `Thought`; of the chunks, those with text or
    reasoning and without fragments of tool calls, a finish reason or a refusal. A dropped
    chunk's usage is not lost, since all later chunks carry it or a newer one. Values of other
    types may be dropped.
    """
    ERROR = "error"
    """Never slow the stream; fail it with `BackpressureError`, after the items that wait.

    One network read may bring a burst, and `capacity` must be large enough for it.
    """
    REDUCE = "reduce"
    """Lose no text: join the newest item that waits with the next one where they are alike.

    Alike are two `Token` events of one section and path, two `Reasoning` events of one path, and
    two chunks of one choice and the same metadata that both carry only text, or both only
    reasoning. The joined item
    has all the text; its other fields, also the timestamp, are those of the newer item. Items that
    are not alike are treated as with `BLOCK`. There is no limit on the length of the joined text.
    """


class Queue(Protocol[T_co]):
    """The part of a `deque` that a reader uses."""

    def __len__(self) -> int: ...

    def popleft(self) -> T_co:
        """Remove and return the oldest item."""
        ...

    def clear(self) -> None:
        """Remove all items."""
        ...


class Buffer(ABC, Generic[T]):
    """Holds the items that wait for a reader, and wakes the reader.

    At all times, the items read, dropped and waiting are those that were put; `REDUCE` makes one
    item of several.

    Args:
        capacity: How many items may wait before the policy applies.
        gate: Stops the source, where the policy does so.
        fail: Called with the error when there is no room for an item; ends the stream.

    Attributes:
        queue: The items that wait, in the order of the stream; the reader removes them.
        dropped: How many items were put that no reader will get.
        ended: Whether the stream has ended; later items are ignored.
        waiter: Set by a reader that waits; resolved, and removed, when an item comes. A future of
            asyncio, or of `concurrent.futures` for a reader on another thread.
        low: The reader opens a closed gate when no more items than this are left.
    """

    queue: Queue[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        self.dropped = 0
        self.ended = False
        self.waiter: asyncio.Future[None] | Future[None] | None = None
        self.low = capacity // 2
        self._capacity = capacity
        self._limit = max(_UNGATED_LIMIT, 4 * capacity)
        self._gate = gate
        self._fail = fail

    def put(self, item: T) -> None:
        """Add the stream's next item."""
        if self.ended:
            return
        self._add(item)
        if self.waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Wake the reader, if it waits."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @abstractmethod
    def _add(self, item: T) -> None:
        """Add an item as the policy says."""

    def _refuse(self, reason: str) -> None:
        self.dropped += 1
        self._fail(BackpressureError(reason))

    def _refuse_ungated(self) -> None:
        """Fail because the source did not stop at the closed gate."""
        self._refuse(
            f"More than {self._limit} items wait for the reader, and the source did not stop: an "
            "operator between them does not pass the demand on. Read faster, or raise capacity "
            f"({self._capacity}) above {self._limit // 4}."
        )


class _BlockingBuffer(Buffer[T]):
    """Closes the gate when `capacity` items wait."""

    queue: deque[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = deque()

    def _add(self, item: T) -> None:
        self.queue.append(item)
        waiting = len(self.queue)
        if waiting >= self._capacity:
            self._gate.close()
            if waiting > self._limit:
                self.queue.pop()
                self._refuse_ungated()


class _FailingBuffer(Buffer[T]):
    """Fails when more than `capacity` items wait."""

    queue: deque[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = deque()

    def _add(self, item: T) -> None:
        if len(self.queue) < self._capacity:
            self.queue.append(item)
        else:
            self._refuse(
                f"More than {self._capacity} items wait for the reader. Read faster, raise "
                f"capacity ({self._capacity}), or choose another overflow than ERROR."
            )


class _DroppingBuffer(Buffer[T]):
    """Drops the oldest item that may be dropped, and never closes the gate."""

    queue: DroppingQueue[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = DroppingQueue()

    def _add(self, item: T) -> None:
        items = self.queue
        items.append(item, kept=not _may_be_dropped(item))
        if len(items) <= self._capacity:
            return
        if items.drop_oldest():
            self.dropped += 1
        elif len(items) > self._limit:
            items.pop_kept()
            self._refuse(
                f"More than {self._limit} items wait for the reader, and none of them may be "
                f"dropped. Read faster, or raise capacity ({self._capacity}) above "
                f"{self._limit // 4}."
            )


class _JoiningBuffer(Buffer[T]):
    """Joins items that are alike, and closes the gate for others."""

    queue: JoiningQueue[T]

    def __init__(self, capacity: int, gate: Gate, fail: Callable[[Exception], None]) -> None:
        super().__init__(capacity, gate, fail)
        self.queue = JoiningQueue()

    def _add(self, item: T) -> None:
        items = self.queue
        if len(items) >= self._capacity and _may_join(items[-1], item):
            items.extend_newest(item)
            return
        items.append(item)
        waiting = len(items)
        if waiting > self._capacity or (waiting == self._capacity and not _is_token(item)):
            self._gate.close()
            if waiting > self._limit:
                items.pop()
                self._refuse_ungated()


def buffer_for(
    overflow: Overflow, capacity: int, gate: Gate, fail: Callable[[Exception], None]
) -> Buffer[T]:
    """Return an empty buffer with the policy `overflow`; see `Buffer`."""
    match overflow:
        case Overflow.BLOCK:
            return _BlockingBuffer(capacity, gate, fail)
        case Overflow.DROP_OLDEST:
            return _DroppingBuffer(capacity, gate, fail)
        case Overflow.ERROR:
            return _FailingBuffer(capacity, gate, fail)
        case Overflow.REDUCE:
            return _JoiningBuffer(capacity, gate, fail)


def checked_overflow(overflow: object) -> Overflow:
    """Return `overflow` if it is a policy.

    Raises:
        ConfigurationError: It is not.
    """
    if not isinstance(overflow, Overflow):
        raise ConfigurationError(f"overflow must be an rxagents.Overflow, not {overflow!r}.")
    return overflow


def _may_join(older: object, newer: object) -> bool:
    return _is_token(older) and _is_token(newer) and can_join(older, newer)


def _is_token(item: object) -> bool:
    """Return whether `item` is a piece of a text; a `str` may be a whole text, as a sentence is."""
    return type(item) is not str and is_text(item)


_DROPPABLE = (Token, Reasoning, Thought)
_KEPT = tuple(kind for kind in get_args(StreamEvent) if kind not in _DROPPABLE)


def _may_be_dropped(item: object) -> bool:
    if isinstance(item, StreamChunk):
        carries_more = item.tool_calls or item.finish_reason or item.refusal
        return not carries_more and (item.delta != "" or item.reasoning != "")
    return not isinstance(item, _KEPT)
