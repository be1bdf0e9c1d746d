"""Draw a stream in a terminal: its text as it arrives, above a line with the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rxagents.cli.markdown import MarkdownLines
from rxagents.cli.pieces import Item, Kind, Piece, Sections
from rxagents.cli.wrapping import wrap

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
def drawn(console: Console, *, markdown: bool = False) -> Iterator[Callable[[Item], None]]:
    """Draw the items on `console`.

    Args:
        console: The terminal.
        markdown: Whether the answer is rendered as Markdown.
    """
    screen = Screen(console, markdown=markdown)
    with screen.live():
        yield screen.show


def print_markdown(console: Console, text: str) -> None:
    """Print a whole text of Markdown."""
    lines = MarkdownLines(console)
    rows = [row for line in text.splitlines() for row in lines.line(line)]
    for row in (*rows, *lines.end()):
        _print(console, row)


def _print(console: Console, row: RenderableType) -> None:
    console.print(row, overflow="ignore", no_wrap=True, crop=False)


class Screen:
    """Prints full rows once; only the last row is drawn again with each refresh.

    So the cost of a token does not grow with the answer, and a long answer scrolls. The last row
    of Markdown is its open line, which may take several rows of the terminal. `Live` draws from
    its own thread: the row must be replaced, never mutated.

    A word that is longer than the terminal is wide is printed whole, without a line end: the
    terminal breaks it, so that a long URL stays one line when it is copied.
    """

    def __init__(self, console: Console, *, markdown: bool = False) -> None:
        self._console = console
        self._sections = Sections()
        self._row = Text()
        self._markdown = MarkdownLines(console) if markdown else None
        self._line = ""  # the open line of Markdown
        self._started = time.monotonic()
        self._spinner = Spinner("dots", style="dim")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw the last row and the time in the block; print the last row at its end."""
        try:
            with Live(self, console=self._console, transient=True, refresh_per_second=20):
                yield
        finally:
            self.finish()

    def show(self, item: Item) -> None:
        """Show an item."""
        for piece in self._sections.pieces(item):
            if self._markdown is None or piece.kind is not Kind.TEXT:
                self._add_row(piece)
            else:
                self._add_markdown(self._markdown, piece)

    def finish(self) -> None:
        """Print the last row."""
        if self._markdown is not None:
            line, self._line = self._line, ""
            if line:
                self._print(self._markdown.line(line))
            self._print(self._markdown.end())
        row, self._row = self._row, Text()
        if row:
            self._print([row])

    def __rich__(self) -> RenderableType:
        self._spinner.update(text=Text(f"{time.monotonic() - self._started:.1f} s", "dim"))
        rows = self.open_rows(self._console.height - 2)
        return Group(*rows, self._spinner) if rows else self._spinner

    def open_rows(self, height: int) -> list[Text]:
        """Return the end of the text that is not printed yet, in `height` rows at most."""
        line, width, height = self._line, self._console.width, max(height, 1)
        if not line or self._markdown is None:
            return [self._row] if self._row else []
        if len(line) > width * height:  # the end of it, which is all that has room
            return Text(line[-width * height :]).wrap(self._console, width)[-height:]
        rows = [
            row
            for text in self._markdown.open_line(line)
            for row in text.wrap(self._console, width)
        ]
        return rows[-height:]

    def _add_markdown(self, markdown: MarkdownLines, piece: Piece) -> None:
        if piece.label:
            self._print([Text(f"{piece.label}:", "bold dim")])
        *lines, self._line = (self._line + piece.text.replace("\t", "    ")).split("\n")
        for line in lines:
            self._print(markdown.line(line))
        if lines and not self._line and piece.text == "\n\n":
            self._print(markdown.end())  # the section ends

    def _add_row(self, piece: Piece) -> None:
        row = self._row.copy()
        if piece.label:
            row.append(f"{piece.label}: ", "bold dim")
        row.append(piece.text.replace("\t", "    "), _STYLES[piece.kind])
        *lines, row = row.split("\n", allow_blank=True)
        width = self._console.width
        done = [part for line in lines for part in wrap(line, width)]
        *full, self._row = wrap(row, width)
        for part in (*done, *full):
            part.rstrip()
        self._print((*done, *full))

    def _print(self, rows: Iterable[RenderableType]) -> None:
        for row in rows:
            _print(self._console, row)
