"""Lay out a snapshot of probes for a terminal of any width."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from rxagents.cli.pieces import printable
from rxagents.runtime.inspection import InspectedPipe, InspectedProbe, InspectedStage, Inspection
from rxagents.runtime.inspection_table import seconds
from rxagents.runtime.stage_times import SUBSCRIBER

SORTS: dict[str, Callable[[InspectedPipe], tuple[float, ...]]] = {
    "age": lambda pipe: (-pipe.probes[-1].age,),
    "items": lambda pipe: (-max(probe.items for probe in pipe.probes),),
    "rate": lambda pipe: (-max(probe.rate for probe in pipe.probes),),
    "idle": lambda pipe: (-pipe.probes[-1].idle,),
    "blocked": lambda pipe: (-max(probe.blocked for probe in pipe.probes),),
}
"""The orders of pipes, by name."""


class _Column(NamedTuple):
    """A column of figures.

    Attributes:
        heading: Its heading.
        cell: Returns the text for a probe and the stage before it.
        widest: The width that it needs; the probe's name and the last item take the rest.
        from_width: The width of the terminal from which it is shown.
    """

    heading: str
    cell: Callable[[InspectedProbe, InspectedStage], str]
    widest: int
    from_width: int


_COLUMNS = (
    _Column("items", lambda probe, _: str(probe.items), 9, 46),
    _Column("per s", lambda probe, _: f"{probe.rate:.1f}", 8, 0),
    _Column("age", lambda probe, _: seconds(probe.age), 11, 110),
    _Column("first", lambda probe, _: seconds(probe.first), 9, 120),
    _Column("idle", lambda probe, _: seconds(probe.idle), 9, 64),
    _Column("gap", lambda probe, _: seconds(probe.longest_gap), 9, 130),
    _Column("own", lambda _, stage: seconds(stage.seconds), 9, 100),
    _Column("share", lambda _, stage: f"{stage.share:.0%}", 5, 0),
    _Column("blocked", lambda probe, _: seconds(probe.blocked), 9, 90),
    _Column("buffer", lambda probe, _: _count(probe.buffered), 6, 72),
)
_LAST_FROM = 60
_MIN_NAME = len(f"({SUBSCRIBER})")
_MAX_NAME = 28


def rows(inspection: Inspection, width: int, height: int, sort: str) -> list[Text]:
    """Return the lines of a snapshot, cut to the terminal.

    Args:
        inspection: The snapshot.
        width: The columns of the terminal.
        height: The lines that there is room for.
        sort: The order of pipes, one of `SORTS`.
    """
    if not inspection.pipes:
        return [Text("No stream with a probe is subscribed to.")]
    columns = [column for column in _COLUMNS if width >= column.from_width]
    names = [cell_len(probe.name) for pipe in inspection.pipes for probe in pipe.probes]
    room = width - sum(column.widest + 1 for column in columns)
    name = max(
        6, min(max(_MIN_NAME, *names) + 2, _MAX_NAME, room if width < _LAST_FROM else room // 2)
    )
    lines = [_headings(columns, name, width)]
    pipes = sorted(inspection.pipes, key=SORTS[sort])
    left = len(pipes) + inspection.left_out
    for pipe in pipes:
        block = list(_pipe(pipe, columns, name, width))
        room = height - len(lines) - (left > 1)
        if len(block) > room and left < len(pipes) + inspection.left_out:
            break
        lines += block[:room]  # of the first pipe as much as there is room for
        left -= 1
    if left:
        lines.append(Text(_fit(f"{left} more", width), "dim"))
    return lines


def _headings(columns: Sequence[_Column], name: int, width: int) -> Text:
    line = _fit("probe", name)
    for column in columns:
        line += " " + column.heading.rjust(column.widest)
    if width >= _LAST_FROM:
        line += "  last item"
    return Text(_fit(line, width), "bold")


def _pipe(pipe: InspectedPipe, columns: Sequence[_Column], name: int, width: int) -> Iterator[Text]:
    slowest = pipe.slowest
    verdict = "" if slowest is None else f"  {slowest.share:.0%} in {_one_line(str(slowest))}"
    head = f"#{pipe.probes[-1].number} {seconds(pipe.probes[-1].age)}{verdict}"
    yield Text(_fit(head, width), "cyan")
    for probe in pipe.probes:
        stage = _stage_before(pipe, probe)
        line = _fit("  " + _one_line(probe.name), name)
        for column in columns:
            line += " " + column.cell(probe, stage).rjust(column.widest)
        if width >= _LAST_FROM:
            text = "" if probe.text is None else f" {_one_line(probe.text)}"
            line += f"  {_one_line(probe.last)}{text}"
        yield Text(_fit(line, width), "bold yellow" if stage == slowest else "")
    last = pipe.stages[-1]
    line = _fit(f"  ({SUBSCRIBER})", name)
    for column in columns:
        cell = column.cell(pipe.probes[-1], last) if column.heading in {"own", "share"} else ""
        line += " " + cell.rjust(column.widest)
    yield Text(_fit(line, width), "bold yellow" if last == slowest else "dim")


def _stage_before(pipe: InspectedPipe, probe: InspectedProbe) -> InspectedStage:
    """Return the newest stage that ends at a probe: those of ended sources are before it."""
    return next(stage for stage in reversed(pipe.stages) if stage.before == probe.name)


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


def _fit(line: str, width: int) -> str:
    """Return a line with exactly `width` cells."""
    if cell_len(line) > width:
        return set_cell_size(line, max(width - 1, 0)) + "…"
    return set_cell_size(line, width)
