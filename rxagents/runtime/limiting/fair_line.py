"""Order those who wait: by turns between keys, and in order of arrival within a key."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class FairLine(Generic[T]):
    """A line in which each key has its turn, however many wait under another key.

    All methods take the same time however long the line is: a `dict` keeps its order, and
    removes any of its entries at once.
    """

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[Hashable, dict[T, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, key: Hashable, waiter: T) -> None:
        """Add a waiter at the end of its key's line; a new key has its turn after all others."""
        self._lines.setdefault(key, {})[waiter] = None

    def first(self) -> T | None:
        """Return whose turn it is; `None` if nobody waits."""
        for waiters in self._lines.values():
            for waiter in waiters:
                return waiter
        return None

    def pop(self) -> T:
        """Remove and return whose turn it is; its key has its next turn after all others."""
        key = next(iter(self._lines))
        waiters = self._lines.pop(key)
        waiter = next(iter(waiters))
        del waiters[waiter]
        if waiters:
            self._lines[key] = waiters
        return waiter

    def remove(self, key: Hashable, waiter: T) -> None:
        """Remove a waiter; nothing happens if it does not wait any more."""
        waiters = self._lines.get(key)
        if waiters is not None and waiter in waiters:
            del waiters[waiter]
            if not waiters:
                del self._lines[key]

    def counts(self) -> dict[Hashable, int]:
        """Return how many wait, by key."""
        return {key: len(waiters) for key, waiters in self._lines.items()}
