"""Parse and draw marble diagrams.

CONTRIBUTING.md describes the format of a diagram under "Add an operator"; `marks` parses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import drawsvg

_COLUMN = 13
_ROW = 46
_MARGIN = 16
_NOTE = 26
_PALETTE = ("#7cc4fa", "#ffb454", "#8ddb8c", "#f28fad", "#c3a6ff", "#f6e05e", "#76e0d0", "#e8a87c")
_FONT = "ui-monospace, Menlo, Consolas, monospace"
_CHARACTER = 0.61
"""Width of a character of the font, as a multiple of its size."""


class Mark(NamedTuple):
    """An item or an end on a timeline.

    Attributes:
        column: The column where it begins; this is its time.
        width: How many columns it takes.
        text: The text of an item; `|` (completed) or `#` (failed) for an end.
    """

    column: int
    width: int
    text: str

    @property
    def is_end(self) -> bool:
        """Whether it is an end and not an item."""
        return self.text in {"|", "#"}


class Diagram(NamedTuple):
    """A marble diagram.

    Attributes:
        lines: The timelines, and the operator in brackets between them.
        time: Seconds per column, if the diagram is to scale.
        legend: Explains the items, if they need it.
    """

    lines: list[str]
    time: float | None
    legend: str


def parse(lines: list[str]) -> Diagram:
    """Return the diagram that `lines` are; `time:` and `legend:` lines stand at its end."""
    time, legend = None, ""
    while lines and (note := re.match(r"(time|legend): (.+)", lines[-1])):
        lines = lines[:-1]
        if note[1] == "legend":
            legend = note[2]
        elif seconds := re.fullmatch(r"(\S+) s per character", note[2]):
            time = float(seconds[1])
        else:
            raise ValueError(f"{note[0]!r} must be like 'time: 1 s per character'.")
    return Diagram(lines, time, legend)


def marks(line: str) -> Iterator[Mark]:
    """Yield the items and ends of a timeline.

    An item is a word, or any text in parentheses, which may contain spaces, brackets and balanced
    parentheses. An end may be the last character in the parentheses: `(a|)`.

    Raises:
        ValueError: A parenthesis is not closed, or text with spaces has no parentheses.
    """
    column = len(line) - len(line.lstrip(" "))
    while column < len(line):
        start = column
        if line[start] == "-":
            column += 1
        elif line[start] in "|#":
            column += 1
            yield Mark(start, 1, line[start])
        elif line[start] == "(":
            column = _closing(line, start) + 1
            yield from _in_parentheses(line[start + 1 : column - 1], start)
        else:
            word = re.match(r"[^-|#()\s]+", line[start:])
            if word is None:
                raise ValueError(f"Column {start} of {line!r}: put an item with spaces in (...).")
            column += len(word[0])
            yield Mark(start, len(word[0]), word[0])


def _closing(line: str, start: int) -> int:
    depth = 0
    for column in range(start, len(line)):
        depth += (line[column] == "(") - (line[column] == ")")
        if depth == 0:
            return column
    raise ValueError(f"Column {start} of {line!r}: the parenthesis is not closed.")


def _in_parentheses(text: str, start: int) -> Iterator[Mark]:
    end = text[-1:] if text[-1:] in {"|", "#"} else ""
    item = text.removesuffix(end)
    yield Mark(start, len(item) + 2 - len(end), item)
    if end:
        yield Mark(start + len(item) + 1, 1, end)


def colours(lines: list[str]) -> dict[str, str]:
    """Return a colour for each item of a diagram, the same wherever the item stands.

    A number and a colon before an item, as in `1:a`, leave it the same item.
    """
    colour_of: dict[str, str] = {}
    for line in lines:
        for mark in marks(line) if not _is_operator(line) else ():
            if not mark.is_end:
                colour_of.setdefault(_item(mark.text), _PALETTE[len(colour_of) % len(_PALETTE)])
    return colour_of


def _item(text: str) -> str:
    return re.sub(r"^\d+:", "", text).strip()


def _is_operator(line: str) -> bool:
    return line.startswith("[ ")


def draw(shown: Diagram) -> drawsvg.Drawing:
    """Draw a diagram: timelines, the operator between them, and below a time scale and a legend."""
    columns = max(len(line) for line in shown.lines if not _is_operator(line)) + 2
    texts = [(line, 14) for line in shown.lines if _is_operator(line)] + [(shown.legend, 12)]
    longest = max(len(text) * size * _CHARACTER for text, size in texts)
    width = max(columns * _COLUMN, longest + 24) + 2 * _MARGIN
    notes = (shown.time is not None) + bool(shown.legend)
    height = len(shown.lines) * _ROW + notes * _NOTE + _MARGIN
    drawing = drawsvg.Drawing(round(width), height, font_family=_FONT)
    drawing.append(drawsvg.Rectangle(0, 0, round(width), height, rx=8, fill="#ffffff"))
    colour_of = colours(shown.lines)
    for number, line in enumerate(shown.lines):
        y = _MARGIN / 2 + _ROW * (number + 0.5)
        if _is_operator(line):
            _draw_operator(drawing, line.removeprefix("[ ").removesuffix(" ]"), y, width)
        else:
            _draw_timeline(drawing, line, y, width, colour_of)
    y = _MARGIN / 2 + _ROW * len(shown.lines) + _NOTE / 2
    if shown.time is not None:
        _draw_scale(drawing, shown.time, columns, y)
        y += _NOTE
    if shown.legend:
        drawing.append(_text(shown.legend, width / 2, y, 12, "#4b5563"))
    return drawing


def _draw_operator(drawing: drawsvg.Drawing, text: str, y: float, width: float) -> None:
    drawing.append(
        drawsvg.Rectangle(
            _MARGIN, y - 16, width - 2 * _MARGIN, 32, rx=6, fill="#f3f4f6", stroke="#9ca3af"
        )
    )
    drawing.append(_text(text, width / 2, y, 14))


def _draw_timeline(
    drawing: drawsvg.Drawing, line: str, y: float, width: float, colour_of: dict[str, str]
) -> None:
    start = _MARGIN + (len(line) - len(line.lstrip(" "))) * _COLUMN
    tip = width - _MARGIN
    drawing.append(drawsvg.Line(start, y, tip, y, stroke="#4b5563", stroke_width=1.5))
    drawing.append(
        drawsvg.Lines(tip, y, tip - 7, y - 4, tip - 7, y + 4, close=True, fill="#4b5563")
    )
    for mark in marks(line):
        _draw_mark(drawing, mark, y, colour_of)


def _draw_mark(drawing: drawsvg.Drawing, mark: Mark, y: float, colour_of: dict[str, str]) -> None:
    left, width = _MARGIN + mark.column * _COLUMN, mark.width * _COLUMN
    middle = left + width / 2
    if mark.text == "|":
        drawing.append(
            drawsvg.Line(middle, y - 13, middle, y + 13, stroke="#111", stroke_width=2.5)
        )
    elif mark.text == "#":
        for dy in (8, -8):
            drawing.append(
                drawsvg.Line(
                    middle - 8, y - dy, middle + 8, y + dy, stroke="#c81e1e", stroke_width=2.5
                )
            )
    else:
        pill = max(width - 1, 24)
        drawing.append(
            drawsvg.Rectangle(
                middle - pill / 2,
                y - 13,
                pill,
                26,
                rx=13,
                fill=colour_of[_item(mark.text)],
                stroke="#374151",
            )
        )
        drawing.append(_text(mark.text.replace(" ", "\N{NO-BREAK SPACE}"), middle, y, 12))


def _draw_scale(drawing: drawsvg.Drawing, seconds: float, columns: int, y: float) -> None:
    for column in range(columns - 1):
        x, is_labelled = _MARGIN + (column + 0.5) * _COLUMN, column % 5 == 0
        top = y - 12
        bottom = top + (6 if is_labelled else 3)
        drawing.append(drawsvg.Line(x, top, x, bottom, stroke="#9ca3af", stroke_width=1))
        if is_labelled:
            drawing.append(_text(f"{column * seconds:g} s", x, y + 3, 10, "#4b5563"))


def _text(text: str, x: float, y: float, size: int, colour: str = "#111827") -> drawsvg.Text:
    return drawsvg.Text(text, size, x, y + 0.35 * size, text_anchor="middle", fill=colour)


def picture(shown: Diagram) -> str:
    """Return a diagram as SVG."""
    return str(draw(shown).as_svg(randomize_ids=False)) + "\n"
