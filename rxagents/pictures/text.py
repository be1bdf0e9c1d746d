"""Draw a timeline as text, for a terminal."""

from __future__ import annotations

from rxagents.pictures.lanes import Lane, LaneKind
from rxagents.pictures.measures import axis, axis_label, ending, rates, seconds, summary
from rxagents.pictures.timeline import Timeline

_BLOCKS = " ▁▂▃▄▅▆▇█"
_LEAST_PLOT = 20


def draw(timeline: Timeline, *, width: int, title: str, now: float) -> str:
    """Return a run as lines of text.

    Args:
        timeline: The run.
        width: The width in characters.
        title: The title; may be empty.
        now: The right end of the axis, in seconds, while the run goes on.
    """
    end = timeline.last if timeline.end is not None else max(now, timeline.last)
    duration = max(end, 1e-3)
    lanes = list(timeline.lanes)
    labels = ["  " * len(lane.path) + lane.name for lane in lanes]
    gutter = min(max(map(len, labels), default=0) + 2, 22)
    plot = max(width - gutter - 2, _LEAST_PLOT)
    scale = (plot - 1) / duration
    sign = {"completed": "|", "failed": "✗", "disposed": "┆", "unknown": "?"}
    tip = sign[timeline.end.how] if timeline.end is not None else "…"
    told = summary(timeline, end)
    rows = [f"{title}: {told}" if title else told]
    for lane, label in zip(lanes, labels, strict=True):
        name = label if len(label) < gutter else label[: gutter - 2] + "…"
        for cells in _cells(lane, duration, plot, scale, end):
            rows.append(f"{name:<{gutter}}{''.join(cells)}{tip}")
            name = ""
    if timeline.marks:
        rows.append(_row_of_marks(timeline, gutter, plot, scale))
    rows.append(_axis(duration, gutter, plot, scale))
    failed = timeline.end is not None and timeline.end.how == "failed"
    if timeline.end is not None and failed:
        rows.append(f"{ending(timeline)}: {timeline.end.text.partition(': ')[2]}")
    return "\n".join(row.rstrip() for row in rows)


def _cells(lane: Lane, duration: float, plot: int, scale: float, end: float) -> list[list[str]]:
    """Return the rows of a lane, a character for each column."""
    if lane.kind in {LaneKind.TOKENS, LaneKind.THOUGHTS, LaneKind.ITEMS}:
        valid, void = rates(lane, duration, plot)
        most = max(map(max, zip(valid, void, strict=True)), default=0) or 1
        return [
            [
                "x" if lost and not count else _BLOCKS[-(-count * 8 // most)]
                for count, lost in zip(valid, void, strict=True)
            ]
        ]
    found: list[list[str]] = []
    for bars in lane.rows(end):
        cells = [" "] * plot
        for bar in bars:
            first = int(bar.start * scale)
            last = int((end if bar.end is None else bar.end) * scale)
            if bar.state == "writing":
                cells[first : last + 1] = "·" * (last + 1 - first)
                continue
            length = last + 1 - first
            is_turn = lane.kind is LaneKind.TURNS
            text = (
                bar.note if is_turn else seconds((end if bar.end is None else bar.end) - bar.start)
            )
            shown = f" {text} " if len(text) + 4 <= length else ""
            right = {"done": "┤", "failed": "✗"}.get(bar.state, "╌")
            line = "╌" if bar.is_void else "─"
            body = shown.center(length - 2, line) if length > 1 else ""
            cells[first : last + 1] = f"├{body}{right}" if length > 1 else right
        found.append(cells[:plot])
    return found


def _row_of_marks(timeline: Timeline, gutter: int, plot: int, scale: float) -> str:
    cells = [" "] * (gutter + plot)
    free = 0
    for mark in timeline.marks:
        text = f"^ {mark.text}"
        at = gutter + int(mark.at * scale)
        if at + len(text) > len(cells):
            text, at = f"{mark.text} ^", at - len(mark.text) - 1
        if at >= free:
            cells[at : at + len(text)] = text
            free = at + len(text) + 1
    return "".join(cells)


def _axis(duration: float, gutter: int, plot: int, scale: float) -> str:
    step, times = axis(duration, max(plot // 10, 2))
    cells = [" "] * (gutter + plot + 8)
    for time in times:
        at = gutter + int(time * scale)
        label = axis_label(time, step)
        cells[at : at + len(label)] = label
    return "".join(cells)
