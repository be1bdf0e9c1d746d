"""Hand the lines that a writer has stored to the readers that wait for them.

A store that answers at once has the lines when its `append` returns. To read them from it again,
in another loop turn for each reader, took as long as all else that a live entry cost.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop

from rxagents.runtime.event_log.log_store import Page, Position
from rxagents.runtime.event_log.run_notifier import PAGE, RunNotifier, SharedPage


class Handover:
    """The lines that the store has, and that readers were not yet given.

    Args:
        notifier: The readers of the run.

    Attributes:
        lines: The lines.
    """

    __slots__ = ("_after", "_notifier", "_tokens", "lines")

    def __init__(self, notifier: RunNotifier) -> None:
        self.lines: list[bytes] = []
        self._notifier = notifier
        self._after = Position(0, 0)
        self._tokens: list[object] = []

    def add(self, after: Position, lines: list[bytes], tokens: list[object]) -> None:
        """Add lines that the store has.

        Args:
            after: The position that they follow.
            lines: The lines.
            tokens: For each line its item, or `None`: see `SharedPage.tokens`.
        """
        if self.lines:
            self.lines += lines
            self._tokens += tokens
        else:
            self._after, self.lines, self._tokens = after, lines, tokens

    def clear(self) -> None:
        """Forget the lines: the readers read them from the store."""
        self.lines, self._tokens = [], []

    def deliver(self, loop: AbstractEventLoop) -> None:
        """Give the lines to the readers; call it when the source has emitted all that it has."""
        after, notifier = self._after, self._notifier
        lines, self.lines = self.lines, []
        tokens, self._tokens = self._tokens, []
        if not notifier.readers:
            return
        if len(lines) > PAGE:
            notifier.wake()
            return
        version = notifier.version = object()
        attempt, seq = after
        entries = [(attempt, number, line) for number, line in enumerate(lines, seq + 1)]
        shared = notifier.page = SharedPage(version, after, Page(entries, "live"), tokens)
        for reader in tuple(notifier.readers):
            reader.take(shared, loop)
