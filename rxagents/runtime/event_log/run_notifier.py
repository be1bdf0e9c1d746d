"""Connect the writers and readers of one run in this process."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final, Protocol

from rxagents.runtime.event_log.log_store import Page, Position

PAGE: Final = 256
"""How many entries readers get at once: more would hold the loop, and wait for a slow client."""


class Wakeable(Protocol):
    """A reader that may wait for entries."""

    def wake(self) -> None:
        """Look for new entries; called from any thread."""

    def take(self, shared: SharedPage, loop: AbstractEventLoop) -> None:
        """Emit a page that a writer on this loop has just stored, or look for new entries."""


class SharedPage:
    """A page that the store has read once for all readers at the same position.

    Attributes:
        version: The notifier's version before the page was read.
        after: The position that the page follows.
        page: The page, or a future of it.
        encoded: What the readers make of the page, so that the next one does not make it again.
        tokens: Empty for a page that the store has read. For one that a writer of this process has
            handed over, the item of each entry where it is a `Token`, which never changes; else
            `None`. Such a page has no end mark.
    """

    __slots__ = ("after", "encoded", "page", "tokens", "version")

    def __init__(
        self,
        version: object,
        after: Position | None,
        page: Page | Future[Page],
        tokens: Sequence[object] = (),
    ) -> None:
        self.version = version
        self.after = after
        self.page = page
        self.encoded: Any = None
        self.tokens = tokens


class RunNotifier:
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
