"""Draw a timeline as SVG.

The time axis is to scale. A lane shows each item as a marble with its text where there are few, as
a line where there are more, and as a curve of their rate where lines would touch: so a run of ten
tokens and one of two thousand are both read at a glance, and the picture has a bounded number of
elements.
"""

from __future__ import annotations

from collections.abc import Iterator

from rxagents.pictures import elements as svg
from rxagents.pictures.lanes import LaneKind
from rxagents.pictures.measures import axis, axis_label, ending, gaps, seconds, summary
from rxagents.pictures.svg_lanes import LEFT, ROW, LaneDrawing, Scale
from rxagents.pictures.timeline import Timeline

_RIGHT = 24.0
_HEAD, _MARKS, _FOOT = 46.0, 20.0, 30.0

_SHORTEST = 1e-3
"""The least length of the axis, in seconds."""

_ENDS = {"completed": "ink", "failed": "failed", "disposed": "ink", "unknown": "muted"}


def draw(timeline: Timeline, *, width: int, title: str, now: float) -> str:
    """Return a run as an SVG document.

    Args:
        timeline: The run.
        width: The width in pixels.
        title: The title; may be empty.
        now: The right end of the axis, in seconds, while the run goes on.
    """
    return _Drawing(timeline, width, title, now).document()


class _Drawing:
    """Draws one picture, from top to bottom."""

    def __init__(self, timeline: Timeline, width: int, title: str, now: float) -> None:
        self._timeline = timeline
        self._width = width
        self._title = title
        end = timeline.end
        until = max(timeline.last if end is not None else now, timeline.last)
        self._summary = summary(timeline, until)
        self._end = max(until, _SHORTEST)
        self._scale = Scale(self._end, width - LEFT - _RIGHT, width)
        self._x = self._scale.x

    def document(self) -> str:
        """Return the document."""
        lanes = list(self._timeline.lanes)
        top = _HEAD + self._marks_height()
        drawn: list[str] = []
        bands: list[str] = []
        y = top
        gap_y = y + ROW / 2
        for lane in lanes:
            drawing = LaneDrawing(lane, self._scale)
            if lane.path:
                bands.append(svg.rect(0, y, self._width, drawing.height, "f-band"))
            if lane.kind in {LaneKind.TOKENS, LaneKind.ITEMS} and not lane.path:
                gap_y = y + drawing.middle
            drawn += drawing.elements(y)
            y += drawing.height
        if not lanes:
            y += ROW
        bottom = y + 4
        height = bottom + _FOOT + (18 if self._failure else 0)
        name = f"{self._title}: " if self._title else ""
        told = self._summary
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{svg.ROOT}" role="img" '
            f'width="{self._width}" height="{svg.number(height)}" '
            f'viewBox="0 0 {self._width} {svg.number(height)}" '
            f'style="max-width:100%;height:auto" aria-label="{svg.escaped(name + told)}">',
            f"<title>{svg.escaped(self._title or 'A run over time')}</title>",
            f"<desc>{svg.escaped(told)}</desc>",
            f"<style>{svg.STYLE}</style>",
            svg.rect(0, 0, self._width, height, "f-ground", radius=8),
            *bands,
            *self._head(told),
            *self._axis(top, bottom),
            *self._gaps(top, bottom, gap_y),
            *drawn,
            *self._marks(bottom),
            *self._end_line(bottom),
            "</svg>\n",
        ]
        return "\n".join(parts)

    @property
    def _failure(self) -> str:
        end = self._timeline.end
        return end.text if end is not None and end.how == "failed" else ""

    def _head(self, told: str) -> Iterator[str]:
        room = self._width - 32.0
        x = 16.0
        if self._title:
            title = svg.cut(self._title, room / 2, 14)
            yield svg.text(x, 24, title, "title f-ink")
            x += svg.width_of(title, 15) + 12
        yield svg.text(x, 24, svg.cut(told, self._width - 16 - x), "f-muted")

    def _axis(self, top: float, bottom: float) -> Iterator[str]:
        step, times = axis(self._end, max(2, int(self._scale.plot / 90)))
        lines = "".join(
            f"M{svg.number(self._x(time))} {svg.number(top)}V{svg.number(bottom)}" for time in times
        )
        yield svg.path(lines, "line s-grid")
        for time in times:
            label = axis_label(time, step)
            yield svg.text(self._x(time), bottom + 16, label, "small f-muted", "middle")

    def _gaps(self, top: float, bottom: float, y: float) -> Iterator[str]:
        for start, stop in gaps(self._timeline, self._end):
            left, right = self._x(start), self._x(stop)
            label = seconds(stop - start)
            width = right - left
            yield svg.rect(left, top, width, bottom - top, "f-grid soft", hint=f"silent: {label}")
            room = svg.width_of(label, 11) + 6
            if width < room:
                continue
            middle = (left + right) / 2
            side = (width - room) / 2
            yield svg.text(middle, y + 4, label, "small f-muted", "middle")
            if side > 4:
                n = svg.number
                yield svg.path(
                    f"M{n(left + 2)} {n(y - 4)}v8m0-4h{n(side - 2)}"
                    f"M{n(right - 2)} {n(y - 4)}v8m0-4h{n(2 - side)}",
                    "line s-muted",
                )

    def _marks_height(self) -> float:
        return _MARKS if self._timeline.marks or self._timeline.end is not None else 0.0

    def _marks(self, bottom: float) -> Iterator[str]:
        free = LEFT
        last = self._width - 8 - svg.width_of(ending(self._timeline), 11) - 8
        for mark in self._timeline.marks:
            x = self._x(mark.at)
            colour = "waiting" if mark.kind in {"reset", "retry"} else "muted"
            style = f"line s-{colour}" + (" thick" if mark.kind == "reset" else " dash")
            yield svg.path(f"M{svg.number(x)} {_HEAD + 4}V{svg.number(bottom)}", style)
            width = svg.width_of(mark.text, 11)
            left = max(min(x - width / 2, last - width), free)
            if left + width <= last and abs(left + width / 2 - x) < width:
                yield svg.text(left, _HEAD, mark.text, f"small f-{colour}")
                free = left + width + 8

    def _end_line(self, bottom: float) -> Iterator[str]:
        end = self._timeline.end
        if end is None:
            return
        x, colour, n = self._x(self._end), _ENDS[end.how], svg.number
        dash = "" if end.how in {"completed", "failed"} else " dash"
        yield svg.path(f"M{n(x)} {_HEAD + 4}V{n(bottom)}", f"line thick s-{colour}{dash}")
        if end.how == "failed":
            middle = (_HEAD + bottom) / 2
            yield svg.path(f"M{n(x - 6)} {n(middle - 6)}l12 12m0-12l-12 12", "line thick s-failed")
            words = svg.cut(" ".join(end.text.split()), self._width - 32)
            yield svg.text(16, bottom + 38, words, "f-failed")
        yield svg.text(self._width - 8, _HEAD, ending(self._timeline), f"small f-{colour}", "end")
