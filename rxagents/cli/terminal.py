"""Draw a stream in a terminal: its text as it arrives, above a line with the time."""

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
    """Prints full rows once; only the last row is drawn again with each refresh.

    So the cost of a token does not grow with the answer, and a long answer scrolls. `Live` draws
    from its own thread: the row must be replaced, never mutated.
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
        """Print the last row."""
        if self._row:
            self._console.print(self._row)

    def __rich__(self) -> RenderableType:
        self._spinner.update(text=Text(f"{time.monotonic() - self._started:.1f} s", "dim"))
        return Group(self._row, self._spinner) if self._row else self._spinner

    def _cut(self, row: Text) -> tuple[list[Text], Text]:
        """Split a row into the full rows and the rest."""
        *full, last = row.wrap(self._console, self._console.width)
        if not full:
            return [], row
        # Wrapping may drop trailing white space, which must stay before the next piece.
        length = len(row.plain.rstrip()) - len(last.plain.rstrip())
        done, rest = row.divide([length])
        return [done], rest
