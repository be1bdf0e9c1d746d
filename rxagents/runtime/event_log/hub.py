"""Connect the writers and readers of one run in this process."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol

from rxagents.runtime.event_log.log_store import Page, Position


class Wakeable(Protocol):
    """A reader that may wait for entries."""

    def wake(self) -> None:
        """Look for new entries; called from any thread."""


class SharedPage:
    """A page that the store has read once for all readers at the same position.

    Attributes:
        version: The hub's version before the page was read.
        after: The position that the page follows.
        page: The page, or a future of it.
        encoded: What the readers make of the page, so that the next one does not make it again.
    """

    __slots__ = ("after", "encoded", "page", "version")

    def __init__(self, version: object, after: Position | None, page: Page | Future[Page]) -> None:
        self.version = version
        self.after = after
        self.page = page
        self.encoded: Any = None


class Hub:
    """Wakes the readers of a run, and keeps the newest page for them.

    Attributes:
        readers: The readers in this process, in the order in which they came.
        writers: How many writers of the run are in this process.
        version: Another object after each wake-up. A page that was read at this version has all
            entries that readers were woken for; a number could go back between threads.
        page: The page that was read last; `None` before the first.
    """

    __slots__ = ("__weakref__", "page", "readers", "version", "writers")

    def __init__(self) -> None:
        self.readers: dict[Wakeable, None] = {}
        self.writers = 0
        self.version = object()
        self.page: SharedPage | None = None

    def wake(self) -> None:
        """Wake all readers."""
        self.version = object()
        for reader in tuple(self.readers):
            reader.wake()
