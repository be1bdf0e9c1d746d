"""Two queues for the buffers in `overflow.py`: one drops items, one joins them.

Both keep a stream's cost linear: dropping does not search through the items that must be kept, and
joining does not copy the joined text again for each new item.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Generic, TypeVar

from rxagents.core.joining import item_text, with_text

T = TypeVar("T")


class DroppingQueue(Generic[T]):
    """A queue of items to keep and items that may be dropped.

    There is one deque for each kind, and each item has its number in the order of the stream. So
    the oldest item, of all or of those that may be dropped, is found in constant time.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._kept: deque[tuple[int, T]] = deque()
        self._droppable: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._kept) + len(self._droppable)

    def append(self, item: T, *, kept: bool) -> None:
        """Add the newest item."""
        (self._kept if kept else self._droppable).append((next(self._numbers), item))

    def popleft(self) -> T:
        """Remove and return the oldest item."""
        kept, droppable = self._kept, self._droppable
        keeps_older = kept and (not droppable or kept[0][0] < droppable[0][0])
        return (kept if keeps_older else droppable).popleft()[1]

    def drop_oldest(self) -> bool:
        """Remove the oldest item that may be dropped; return whether there was one."""
        if self._droppable:
            self._droppable.popleft()
            return True
        return False

    def pop_kept(self) -> None:
        """Remove the newest of the items to keep."""
        self._kept.pop()

    def clear(self) -> None:
        """Remove all items."""
        self._kept.clear()
        self._droppable.clear()


class JoiningQueue(deque[T]):
    """A queue whose newest item may grow, at a cost that is linear in its text.

    The newest item is stored with its own text only. The texts before it that belong to it are
    kept in a list, and joined once: when another item is appended, or the reader takes the item.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: list[str] = []

    def extend_newest(self, item: T) -> None:
        """Replace the newest item by `item`, which is alike, and keep both texts."""
        self._before.append(item_text(self[-1]))
        self[-1] = item

    def append(self, item: T) -> None:
        """Add an item that is not joined."""
        self._join()
        super().append(item)

    def popleft(self) -> T:
        """Remove and return the oldest item."""
        if len(self) == 1:
            self._join()
        return super().popleft()

    def clear(self) -> None:
        """Remove all items."""
        super().clear()
        self._before.clear()

    def _join(self) -> None:
        if self._before:
            newest = self[-1]
            self[-1] = with_text(newest, "".join([*self._before, item_text(newest)]))
            self._before.clear()
