"""Queues that the policies of overflow need: one that drops, and one that joins."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Generic, TypeVar

from rxagents.core.joining import item_text, with_text

T = TypeVar("T")


class TwoLanes(Generic[T]):
    """A queue of items to keep and items that may be dropped, each with its number.

    So the oldest of either is found at once, however many of the other wait before it.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._kept: deque[tuple[int, T]] = deque()
        self._droppable: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._kept) + len(self._droppable)

    def append(self, item: T, *, kept: bool) -> None:
        """Take in the newest item."""
        (self._kept if kept else self._droppable).append((next(self._numbers), item))

    def popleft(self) -> T:
        """Take out the oldest item."""
        kept, droppable = self._kept, self._droppable
        keeps_older = kept and (not droppable or kept[0][0] < droppable[0][0])
        return (kept if keeps_older else droppable).popleft()[1]

    def drop_oldest(self) -> bool:
        """Drop the oldest item that may be, if there is one."""
        if self._droppable:
            self._droppable.popleft()
            return True
        return False

    def pop_kept(self) -> None:
        """Take back the newest of the items to keep."""
        self._kept.pop()

    def clear(self) -> None:
        """Let go of all items."""
        self._kept.clear()
        self._droppable.clear()


class Joining(deque[T]):
    """A queue whose newest item may grow, at a cost that is linear in its text.

    The newest item stands in the queue as it came. The texts before it, which belong to it, wait
    apart and are joined once: when another item comes, or the reader takes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: list[str] = []

    def extend_newest(self, item: T) -> None:
        """Make one of the newest item and `item`, which are alike."""
        self._before.append(item_text(self[-1]))
        self[-1] = item

    def append(self, item: T) -> None:
        """Take in an item that is not joined."""
        self._join()
        super().append(item)

    def popleft(self) -> T:
        """Take out the oldest item."""
        if len(self) == 1:
            self._join()
        return super().popleft()

    def clear(self) -> None:
        """Let go of all items."""
        super().clear()
        self._before.clear()

    def _join(self) -> None:
        if self._before:
            newest = self[-1]
            self[-1] = with_text(newest, "".join([*self._before, item_text(newest)]))
            self._before.clear()
