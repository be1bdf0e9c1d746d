"""Draw the marble diagram of every operator's docstring: docs/marbles/<operator>.svg.

python docs/draw_marbles.py
"""

from __future__ import annotations

import inspect
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import drawsvg

from rxagents import operators

FOLDER = Path(__file__).parent / "marbles"

_COLUMN = 13
_ROW = 46
_MARGIN = 16
_COLOURS = ("#7cc4fa", "#ffb454", "#8ddb8c", "#f28fad", "#c3a6ff", "#f6e05e", "#76e0d0", "#e8a87c")
_FONT = "ui-monospace, Menlo, Consolas, monospace"
_TOKEN = re.compile(r"\([^)]*\)|\||#|[^-\s|#()]+")


class Mark(NamedTuple):
    """An item, or an end, on a timeline.

    Attributes:
        column: Where it begins.
        width: How many columns it takes.
        text: What is written on it; `|` and `#` are ends.
    """

    column: int
    width: int
    text: str


def diagram(name: str) -> list[str]:
    """Return the lines of an operator's marble diagram."""
    doc = inspect.getdoc(getattr(operators, name)) or ""
    found = re.search(r"\.\. marble::\n((?:    .*\n)+)", doc)
    if found is None:
        raise SystemExit(f"{name} has no marble diagram.")
    return [line[4:] for line in found[1].splitlines()]


def marks(line: str) -> Iterator[Mark]:
    """Yield what stands on a timeline; parentheses hold an item's text, and may end with an end."""
    for token in _TOKEN.finditer(line):
        text = token[0].strip("()")
        end = text[-1:] if text[-1:] in {"|", "#"} and len(text) > 1 else ""
        yield Mark(token.start(), len(token[0]) - len(end), text.removesuffix(end).strip())
        if end:
            yield Mark(token.end() - 1, 1, end)


def draw(lines: list[str]) -> drawsvg.Drawing:
    """Draw a diagram: timelines, and the operators between them."""
    columns = max(len(line) for line in lines) + 2
    width, height = columns * _COLUMN + 2 * _MARGIN, len(lines) * _ROW + _MARGIN
    drawing = drawsvg.Drawing(width, height, font_family=_FONT)
    drawing.append(drawsvg.Rectangle(0, 0, width, height, rx=8, fill="#ffffff"))
    for number, line in enumerate(lines):
        y = _MARGIN / 2 + _ROW * (number + 0.5)
        if line.startswith("["):
            _draw_operator(drawing, line.strip("[] "), y, width)
        else:
            _draw_timeline(drawing, line, y, width)
    return drawing


def _draw_operator(drawing: drawsvg.Drawing, text: str, y: float, width: float) -> None:
    drawing.append(
        drawsvg.Rectangle(
            _MARGIN, y - 16, width - 2 * _MARGIN, 32, rx=6, fill="#f3f4f6", stroke="#9ca3af"
        )
    )
    drawing.append(_text(text, width / 2, y, 14))


def _draw_timeline(drawing: drawsvg.Drawing, line: str, y: float, width: float) -> None:
    start = _MARGIN + (len(line) - len(line.lstrip())) * _COLUMN
    drawing.append(drawsvg.Line(start, y, width - _MARGIN, y, stroke="#4b5563", stroke_width=1.5))
    tip = width - _MARGIN
    drawing.append(
        drawsvg.Lines(tip, y, tip - 7, y - 4, tip - 7, y + 4, close=True, fill="#4b5563")
    )
    for mark in marks(line):
        _draw_mark(drawing, mark, y)


def _draw_mark(drawing: drawsvg.Drawing, mark: Mark, y: float) -> None:
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
        pill = max(width, 24)
        drawing.append(
            drawsvg.Rectangle(
                middle - pill / 2,
                y - 13,
                pill,
                26,
                rx=13,
                fill=_colour(mark.text),
                stroke="#374151",
            )
        )
        drawing.append(_text(mark.text, middle, y, 12))


def _text(text: str, x: float, y: float, size: int) -> drawsvg.Text:
    return drawsvg.Text(text, size, x, y + 0.35 * size, text_anchor="middle", fill="#111827")


def _colour(text: str) -> str:
    return _COLOURS[zlib.crc32(text.encode()) % len(_COLOURS)]


def picture(name: str) -> str:
    """Return the picture of an operator, as SVG."""
    return str(draw(diagram(name)).as_svg(randomize_ids=False)) + "\n"


def main() -> None:
    """Draw all operators."""
    FOLDER.mkdir(exist_ok=True)
    for name in operators.__all__:
        if not inspect.isfunction(getattr(operators, name)):
            continue
        (FOLDER / f"{name}.svg").write_text(picture(name), encoding="utf-8")


if __name__ == "__main__":
    main()
