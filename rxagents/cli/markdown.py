"""Render Markdown line by line, as it streams.

Theory of operation. A whole document cannot be rendered again for each token: that costs the square
of its length, and what has scrolled out of the terminal cannot be drawn again. So each line is
rendered once, when its end has arrived; only the open line is drawn again. The state between lines
is small: the fence of a block of code, whether a list is open, and the rows of a table, which are
held back until the table ends because its columns depend on all of them.

A construct that spans lines is therefore not recognized: emphasis over a line end, headings that
are underlined, links whose address follows later. They are shown as they were written; no text is
lost. HTML is shown as text for the same reason.

Words are wrapped here, and a word that is longer than a row stays whole: the terminal breaks it,
so that a long URL can be clicked and copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from rxagents.cli.wrapping import wrap

_INLINE = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")

_FENCE = re.compile(r"( *)(`{3,}|~{3,}) *([^\s`]*)[^`]*")
_HEADING = re.compile(r" {0,3}(#{1,6}) +(.*?)(?: +#+)? *")
_RULE = re.compile(r" {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})")
_ITEM = re.compile(r"( *)([-*+]|\d{1,9}[.)]) +(.*)")
_QUOTE = re.compile(r" {0,3}((?:> ?)+)(.*)")
_INDENTED = re.compile(r"( *)(.*)")
_ROW = re.compile(r" {0,3}\|.*")
_DELIMITER = re.compile(r" {0,3}\|?( *:?-+:? *\|)+( *:?-+:? *)?")
_CELLS = re.compile(r"(?<!\\)\|")

_UNLIMITED = 100_000
"""A width at which no table is shrunk."""

_STYLES = {"strong": "bold", "em": "italic", "s": "strike", "link": "underline"}


class _Fence(NamedTuple):
    """An open block of code: the characters that close it, and its language."""

    marker: str
    language: str


class MarkdownLines:
    """Renders lines of Markdown as they arrive.

    Args:
        console: Where they are printed; its width decides where rows end.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fence: _Fence | None = None
        self._in_list = False
        self._table: list[str] = []

    def line(self, text: str) -> Iterator[RenderableType]:
        """Yield what becomes printable with a line that is complete."""
        if self._fence is None and _ROW.fullmatch(text):
            self._table.append(text)
            return
        yield from self.end_table()
        yield from self._rows(text)
        self._read(text)

    def open_line(self, text: str) -> list[Text]:
        """Return the rows of a line that is not complete."""
        return list(self._rows(text))

    def end_table(self) -> Iterator[RenderableType]:
        """Yield the table that was held back, or its lines if it is none or too wide."""
        lines, self._table = self._table, []
        if len(lines) < 2 or not _DELIMITER.fullmatch(lines[1]):
            for line in lines:
                yield from self._rows(line)
            return
        table = Table(box=box.SIMPLE_HEAD)
        rows = [[_inline(cell) for cell in _cells(line)] for line in lines]
        for cell in rows[0]:
            table.add_column(cell)
        for row in rows[2:]:
            table.add_row(*row[: len(rows[0])])
        unlimited = self._console.options.update(max_width=_UNLIMITED)
        fits = Measurement.get(self._console, unlimited, table).maximum <= self._console.width
        yield from [table] if fits else map(Text, lines)

    def end(self) -> Iterator[RenderableType]:
        """Yield what is held back, and forget all open blocks."""
        yield from self.end_table()
        self._fence, self._in_list = None, False

    def _read(self, text: str) -> None:
        """Note which blocks the line opens or closes."""
        if self._fence is not None:
            closing = text.strip()
            marker = self._fence.marker
            if closing.startswith(marker) and not closing.strip(marker[0]):
                self._fence = None
        elif found := _FENCE.fullmatch(text):
            self._fence = _Fence(found[2], found[3])
        elif text.strip():
            self._in_list = bool(_ITEM.fullmatch(text)) or (self._in_list and text.startswith(" "))

    def _rows(self, text: str) -> Iterator[Text]:
        if self._fence is not None or _FENCE.fullmatch(text):
            yield self._code(text)
        elif not text.strip():
            yield Text()
        elif found := _HEADING.fullmatch(text):
            style = "bold underline" if len(found[1]) == 1 else "bold"
            yield from self._wrapped(Text(), Text(), _inline(found[2], style))
        elif _RULE.fullmatch(text):
            yield Text("─" * self._console.width, "dim")
        elif found := _QUOTE.fullmatch(text):
            prefix = Text("▌ " * found[1].count(">"), "dim")
            yield from self._wrapped(prefix, prefix, _inline(found[2], "italic"))
        elif found := _ITEM.fullmatch(text):
            bullet = found[2] if found[2][0].isdigit() else "•"
            first = Text(f"{found[1]}{bullet} ")
            yield from self._wrapped(first, Text(" " * len(first)), _inline(found[3]))
        else:
            found = _INDENTED.fullmatch(text)
            assert found is not None, "it matches every line"
            prefix = Text(found[1])
            is_code = len(prefix) >= 4 and not self._in_list
            yield from self._wrapped(
                prefix, prefix, Text(found[2], "cyan") if is_code else _inline(found[2])
            )

    def _code(self, text: str) -> Text:
        fence = self._fence
        if fence is None or text.strip().startswith(fence.marker):
            return Text(text, "dim")
        if not fence.language or not text.strip():
            return Text(text)
        highlighted = Syntax("", fence.language, theme="ansi_dark").highlight(text)
        highlighted.rstrip()
        return highlighted

    def _wrapped(self, first: Text, rest: Text, text: Text) -> Iterator[Text]:
        width = max(self._console.width - cell_len(rest.plain), 1)
        rows = [row for line in text.split("\n", allow_blank=True) for row in wrap(line, width)]
        for number, row in enumerate(rows):
            row.rstrip()
            yield Text.assemble(rest if number else first, row)


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in _CELLS.split(inner)]


def _inline(text: str, style: str = "") -> Text:
    """Return the text of one line, with emphasis, code and links."""
    shown = Text(style=style)
    styles: list[str] = []
    address, start = "", 0
    for token in _INLINE.parseInline(text)[0].children or ():
        kind, _, end = token.type.rpartition("_")
        if end == "open" and kind in _STYLES:
            styles.append(_STYLES[kind])
            if kind == "link":
                address, start = str(token.attrs.get("href", "")), len(shown)
        elif end == "close" and kind in _STYLES:
            styles.pop()
            if kind == "link" and address not in {"", shown.plain[start:]}:
                shown.append(f" ({address})")
        else:
            shown.append(_content(token), " ".join([*styles, *_own_style(token)]))
    return shown


def _own_style(token: Token) -> list[str]:
    return ["cyan"] if token.type == "code_inline" else []


def _content(token: Token) -> str:
    if token.type == "image":
        return f"{token.content} ({token.attrs.get('src', '')})"
    return "\n" if token.type in {"softbreak", "hardbreak"} else token.content
