"""Wrap text at a terminal's width, without breaking a long URL."""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size
from rich.text import Text

_WORD = re.compile(r"\s*\S+\s*|\s+")


def wrap(text: Text, width: int) -> list[Text]:
    """Return the rows of one line of text.

    A word that is longer than a row stays whole, so that it can be copied as one; the terminal
    breaks it. Only where characters are wide, as in Chinese, a word may be a whole sentence: such
    a word is broken.
    """
    breaks: list[int] = []
    column = 0
    for match in _WORD.finditer(text.plain):
        word = match[0]
        size = cell_len(word.rstrip())
        if column and column + size > width:
            breaks.append(match.start())
            column = 0
        if size > width and size > len(word.rstrip()):
            position, rest = match.start(), word
            room = width - column
            while cell_len(rest.rstrip()) > room:
                part = set_cell_size(rest, room).rstrip(" ") if room > 1 else ""
                part = part or rest[:1]
                position, rest = position + len(part), rest[len(part) :]
                breaks.append(position)
                room = width
            column = cell_len(rest)
        else:
            column += cell_len(word)
    return list(text.divide(breaks)) if text else [text]
