"""Draw the stages of a pipe as SVG: one box below the other, side streams in columns to the right.

A side stream ends in the row of the operator that reads it, in the first column with room for it.
Rows are filled from the top down, so that no arrow crosses a box.

Boxes have their own light fill and dark text, and lines a medium grey, so that the picture can be
read on a page of any colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import count

from rxagents.runtime.stage import Stage, chain_of

_CHARACTER = 7.3
_SMALL_CHARACTER = 6.2
_PADDING = 14
_MARGIN = 8
_HEIGHT = 42
_GAP = 26
_COLUMN_GAP = 44
_FILLS = {
    "source": ("#dbeafe", "#3b82f6"),
    "operator": ("#f1f5f9", "#64748b"),
    "checkpoint": ("#fef3c7", "#d97706"),
    "unknown": ("#fafafa", "#94a3b8"),
}


@dataclass
class _Box:
    """One stage and its cell."""

    stage: Stage
    column: int
    row: int
    reads: list[_Box]

    @property
    def place(self) -> str:
        """The line of code, as text."""
        return "" if self.stage.call.location is None else str(self.stage.call.location)

    @property
    def width(self) -> float:
        """The width that the texts need."""
        texts = len(self.stage.call.label) * _CHARACTER, len(self.place) * _SMALL_CHARACTER
        return max(texts) + 2 * _PADDING


def drawn(stage: Stage) -> str:
    """Return the picture of a pipe whose last stage is `stage`."""
    boxes: list[_Box] = []
    _place_chain(stage, 0, 0, boxes)
    top = min(box.row for box in boxes)
    columns = range(max(box.column for box in boxes) + 1)
    widths = [max(box.width for box in boxes if box.column == column) for column in columns]
    lefts = [_MARGIN + sum(widths[:column]) + column * _COLUMN_GAP for column in columns]
    width = lefts[-1] + widths[-1] + _MARGIN
    height = 2 * _MARGIN + max(box.row - top + 1 for box in boxes) * (_HEIGHT + _GAP) - _GAP

    def corner(box: _Box) -> tuple[float, float]:
        return lefts[box.column], _MARGIN + (box.row - top) * (_HEIGHT + _GAP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="ui-monospace, Menlo, Consolas, '
        'DejaVu Sans Mono, monospace">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#808890"/></marker></defs>',
    ]
    for box in boxes:
        parts += [_arrow(corner(read), corner(box), widths, read, box) for read in box.reads]
    parts += [_shape(box, *corner(box), widths[box.column]) for box in boxes]
    return "\n".join([*parts, "</svg>"])


def _place_chain(stage: Stage, left: int, last_row: int, boxes: list[_Box]) -> _Box:
    """Append the boxes of a chain and of its side streams, and return its last box.

    Args:
        stage: The last stage of the chain.
        left: The first column that it may take.
        last_row: The row of its last stage.
        boxes: The boxes so far.
    """
    chain = chain_of(stage)
    rows = range(last_row - len(chain) + 1, last_row + 1)
    taken = {(box.column, box.row) for box in boxes}
    column = next(at for at in count(left) if not any((at, row) in taken for row in rows))
    own = [_Box(link, column, row, []) for row, link in zip(rows, chain, strict=True)]
    boxes += own
    for before, box in zip([None, *own], own, strict=False):
        if before is not None:
            box.reads.append(before)
        box.reads += [_place_chain(other, column + 1, box.row, boxes) for other in box.stage.others]
    return own[-1]


def _arrow(
    start: tuple[float, float],
    end: tuple[float, float],
    widths: list[float],
    read: _Box,
    box: _Box,
) -> str:
    if read.column == box.column:
        middle = start[0] + widths[box.column] / 2
        path = f"M{middle:.1f} {start[1] + _HEIGHT:.1f}V{end[1] - 1:.1f}"
    else:
        middle = start[1] + _HEIGHT / 2
        path = f"M{start[0]:.1f} {middle:.1f}H{end[0] + widths[box.column] + 1:.1f}"
    return f'<path d="{path}" stroke="#808890" stroke-width="1.5" marker-end="url(#arrow)"/>'


def _shape(box: _Box, left: float, top: float, width: float) -> str:
    fill, stroke = _FILLS[box.stage.call.kind]
    dashes = ' stroke-dasharray="4 3"' if box.stage.call.kind == "unknown" else ""
    middle = left + width / 2
    text = escape(box.stage.call.label)
    label_at = top + (18 if box.place else 26)
    lines = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_HEIGHT}" '
        f'rx="{_HEIGHT / 2 if box.stage.upstream is None else 5:.0f}" fill="{fill}" '
        f'stroke="{stroke}"{dashes}/>',
        f'<text x="{middle:.1f}" y="{label_at:.1f}" font-size="12" text-anchor="middle" '
        f'fill="#1e293b">{text}</text>',
    ]
    if box.place:
        lines.append(
            f'<text x="{middle:.1f}" y="{top + 33:.1f}" font-size="10" text-anchor="middle" '
            f'fill="#57606a">{escape(box.place)}</text>'
        )
    return "\n".join(lines)
