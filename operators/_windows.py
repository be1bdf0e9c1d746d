"""The windows of text that `guard_window` checks."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from msgspec import Struct

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Answer, Complete, Reasoning, Thought, Token

T = TypeVar("T")


class Window(Struct, Generic[T], frozen=True):
    """Text to check, and the items to release if it passes."""

    text: str
    items: list[T]


class PendingItems(Generic[T]):
    """The items that wait, and the length of their text."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[tuple[T, str]] = deque()
        self._length = 0
        self._unchecked = 0

    def add(self, item: T) -> Window[T] | None:
        """Add an item; return the window to check now, if there is one."""
        text = _checked_text(item)
        self._items.append((item, text))
        self._length += len(text)
        self._unchecked += len(text)
        if self._length >= 2 * self._size and self._unchecked >= self._size:
            return self._window(self._size)
        return None if self._length else self._window(0)

    def rest(self) -> Window[T]:
        """Return a window of all waiting items."""
        return self._window(0)

    def _window(self, held_back: int) -> Window[T]:
        """Return a window that releases items until only `held_back` characters wait."""
        checked = "".join(text for _, text in self._items)
        self._unchecked = 0
        released: list[T] = []
        while self._items and self._length - len(self._items[0][1]) >= held_back:
            item, text = self._items.popleft()
            self._length -= len(text)
            released.append(item)
        return Window(checked, released)


def _checked_text(item: object) -> str:
    """Return all the text in `item`; a complete text is set apart from its neighbours."""
    if type(item) is StreamChunk:
        return item.reasoning + item.delta + item.refusal
    if isinstance(item, (Token, Reasoning)):
        return item.content
    if isinstance(item, (Thought, Answer, Complete)):
        return f"\n{item.content}\n"
    return item if isinstance(item, str) else ""
