"""Connect the writers and readers of one run in this process."""

from __future__ import annotations

from typing import Protocol


class Wakeable(Protocol):
    """A reader that may wait for entries."""

    def wake(self) -> None:
        """Look for new entries; called from any thread."""


class Hub:
    """Wakes the readers of a run.

    Attributes:
        readers: The readers in this process, in the order in which they came.
        writers: How many writers of the run are in this process.
    """

    __slots__ = ("__weakref__", "readers", "writers")

    def __init__(self) -> None:
        self.readers: dict[Wakeable, None] = {}
        self.writers = 0

    def wake(self) -> None:
        """Wake all readers."""
        for reader in tuple(self.readers):
            reader.wake()
