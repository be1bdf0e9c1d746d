"""Draws a stream in a terminal: text as it comes, above a line that shows the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rxagents.cli.pieces import Item, Kind, Sections

_STYLES = {
    Kind.REASONING: "dim",
    Kind.TEXT: "",
    Kind.REFUSAL: "red",
    Kind.TOOL_CALL: "cyan",
    Kind.TOOL_START: "cyan",
    Kind.TOOL_RESULT: "green",
    Kind.TOOL_FAILURE: "red",
}


@contextmanager
def drawn(console: Console) -> Iterator[Callable[[Item], None]]:
    """Draw the items on `console`."""
    screen = _Screen(console)
    try:
        with Live(screen, console=console, transient=True, refresh_per_second=20):
            yield screen.show
    finally:
        screen.finish()


class _Screen:
    """Rows that are full are printed for good; only the last one is drawn again and again.

    So a token costs the same however long the answer is, and a long answer scrolls. `Live`
    draws from a thread of its own: the row is replaced, never changed.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sections = Sections()
        self._row = Text()
        self._started = time.monotonic()
        self._spinner = Spinner("dots", style="dim")

    def show(self, item: Item) -> None:
        row = self._row.copy()
        for kind, text in self._sections.pieces(item):
            row.append(text.replace("\t", "    "), _STYLES[kind])
        *lines, row = row.split("\n", allow_blank=True)
        full, self._row = self._cut(row)
        for line in (*lines, *full):
            self._console.print(line)

    def finish(self) -> None:
        """Print the last row for good."""
        if self._row:
            self._console.print(self._row)

    def __rich__(self) -> RenderableType:
        self._spinner.update(text=Text(f"{time.monotonic() - self._started:.1f} s", "dim"))
        return Group(self._row, self._spinner) if self._row else self._spinner

    def _cut(self, row: Text) -> tuple[list[Text], Text]:
        """Return what fills whole rows, and the rest."""
        *full, last = row.wrap(self._console, self._console.width)
        if not full:
            return [], row
        # Wrapping may drop white space at the end, which the next piece still needs.
        length = len(row.plain.rstrip()) - len(last.plain.rstrip())
        done, rest = row.divide([length])
        return [done], rest
