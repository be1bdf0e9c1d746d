"""Write a snapshot of probes as a table of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from rxagents.runtime.short_repr import one_line

if TYPE_CHECKING:
    from rxagents.runtime.inspection import InspectedPipe, Inspection

_HEADINGS = (
    "probe", "items", "per s", "age", "first", "idle", "gap", "own", "blocked", "buffered", "last"
)  # fmt: skip


_TEXTS = {"probe", "last"}
"""Columns that are not aligned to the right."""


def table(inspection: Inspection) -> str:
    """Return the table of a snapshot: for each pipe its slowest stage, and a row for each probe."""
    if not inspection.pipes:
        return "No stream with a probe is subscribed to."
    return "\n\n".join("\n".join(_lines(pipe)) for pipe in inspection.pipes)


def _lines(pipe: InspectedPipe) -> Iterable[str]:
    rows: list[Sequence[str]] = [_HEADINGS]
    rows += [
        (
            one_line(probe.name),
            str(probe.items),
            f"{probe.rate:.1f}",
            seconds(probe.age),
            seconds(probe.first),
            seconds(probe.idle),
            seconds(probe.longest_gap),
            seconds(probe.own),
            seconds(probe.blocked),
            "" if probe.buffered is None else str(probe.buffered),
            probe.last if probe.text is None else f"{probe.last} {probe.text}",
        )
        for probe in pipe.probes
    ]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    yield verdict(pipe)
    for row in rows:
        cells = []
        for heading, cell, width in zip(_HEADINGS, row, widths, strict=True):
            space = " " * (width - _width(cell))
            cells.append(cell + space if heading in _TEXTS else space + cell)
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    return sum(2 if east_asian_width(one) in {"F", "W"} else 1 for one in text)


def verdict(pipe: InspectedPipe) -> str:
    """Return the name of a pipe's slowest stage, and its part of the time."""
    slowest = pipe.slowest
    if slowest is None:
        return "slowest: no time has passed"
    return f"slowest: {one_line(str(slowest))}, {slowest.share:.0%} of the time"


def seconds(value: float | None) -> str:
    """Return a time in a unit that fits it."""
    if value is None:
        return ""
    if value < 0.0995:
        return f"{value * 1e3:.1f} ms" if value >= 9.95e-5 else f"{value * 1e6:.0f} us"
    if value < 99.5:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
