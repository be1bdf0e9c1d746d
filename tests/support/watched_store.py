"""A store of event logs that does something before a write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxagents import MemoryLogStore, StorageError


def die() -> None:
    """Fail, as the writes of a process that was killed do not happen."""
    raise StorageError("The process is dead.")


class WatchedStore:
    """Calls a function before its n-th write and those after it.

    Args:
        store: The store that keeps the runs.
        writes: How many writes come before that.
        act: The function.

    Attributes:
        left: How many writes are left.
        act: The function.
    """

    def __init__(self, store: MemoryLogStore, writes: int, act: Callable[[], None] = die) -> None:
        self._store = store
        self.left = writes
        self.act = act

    @property
    def has_acted(self) -> bool:
        return self.left < 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in {"begin", "append", "save", "renew"}:
            return method

        def write(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.has_acted:
                self.act()
            return method(*arguments, **named)

        return write
