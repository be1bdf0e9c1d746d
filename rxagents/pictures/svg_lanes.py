"""Draw the lanes of a timeline as SVG: items as marbles, lines or a rate, and bars."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from rxagents.pictures import elements as svg
from rxagents.pictures.elements import number as n
from rxagents.pictures.lanes import Bar, Lane, LaneKind
from rxagents.pictures.measures import rates, seconds

LEFT = 150.0
"""Where the time axis begins, in pixels."""

ROW = 22.0
"""The height of a row of bars."""

_INDENT = 14.0
_MARBLE_SPACE = 12.0
"""Pixels that a marble takes; items that are closer are drawn as lines."""
_PHRASE = 180.0
"""Pixels that the text of a burst gets, if it has so much and there is so much room."""
_LINE_SPACE = 3.0
"""Pixels that a line takes; a lane with more items is drawn as a rate."""
_RATE_STEP = 4.0
"""Pixels of one step of the rate."""

_COLOURS = {
    LaneKind.TURNS: "muted",
    LaneKind.THOUGHTS: "thoughts",
    LaneKind.TOKENS: "tokens",
    LaneKind.ITEMS: "tokens",
    LaneKind.TOOL: "tool",
    LaneKind.APPROVALS: "waiting",
}


class Scale(Struct, frozen=True):
    """Where a time is in the picture.

    Attributes:
        end: The end of the run in seconds, more than 0.
        plot: The length of the axis in pixels.
        width: The width of the picture.
    """

    end: float
    plot: float
    width: float

    def x(self, time: float) -> float:
        """Return the place of a time."""
        return LEFT + time / self.end * self.plot


class LaneDrawing:
    """Draws one lane.

    Attributes:
        height: Its height in pixels.
        middle: Where its items are, below its top.
    """

    def __init__(self, lane: Lane, scale: Scale) -> None:
        self._lane = lane
        self._scale = scale
        self._x = scale.x
        self._colour = _COLOURS[lane.kind]
        self._has_bars = lane.kind in {LaneKind.TURNS, LaneKind.TOOL, LaneKind.APPROVALS}
        self._form = self._chosen_form()
        if self._has_bars:
            self._rows = lane.rows(scale.end)
            self.height = ROW * len(self._rows) + 6
        else:
            self.height = 48.0
        self.middle = {"marbles": 14.0, "lines": 13.0}.get(self._form, self.height / 2)

    def _chosen_form(self) -> str:
        times, place = self._lane.times, self._scale
        if len(times) * _LINE_SPACE > place.plot:
            return "rate"
        least = _MARBLE_SPACE * place.end / place.plot
        close = sum(second - first < least for first, second in pairwise(times))
        return "lines" if close * 4 > len(times) else "marbles"

    def elements(self, y: float) -> Iterator[str]:
        """Yield the elements of the lane; `y` is its top."""
        yield from self._label(y)
        if self._has_bars:
            yield from self._bars(y + 3)
            return
        base = y + self.height - 2
        yield svg.path(f"M{n(LEFT)} {n(base)}H{n(self._x(self._scale.end))}", "line s-grid")
        form = {"marbles": self._marbles, "lines": self._lines, "rate": self._rate}
        yield from form[self._form](y)

    def _label(self, y: float) -> Iterator[str]:
        lane, note = self._lane, self._note()
        indent = 16 + _INDENT * len(lane.path)
        if lane.path:
            yield svg.path(f"M{n(indent - 8)} {n(y)}v{n(self.height)}", "line s-muted")
        base = y + (self.height / 2 + 4 if self._has_bars else 21)
        shown = svg.cut(lane.name, LEFT - indent - 8)
        ink = "ink" if self._colour == "muted" else self._colour
        yield svg.text(indent, base, shown, f"f-{ink}")
        if not self._has_bars:
            yield svg.text(indent, base + 15, note, "small f-muted")
            return
        x = indent + svg.width_of(shown) + 8
        if note and x + svg.width_of(note, 11) < LEFT - 6:
            yield svg.text(x, base, note, "small f-muted")

    def _note(self) -> str:
        lane, place = self._lane, self._scale
        if not self._has_bars:
            if self._form != "rate":
                return f"{len(lane.times):,}"
            counts, bins = self._counts()
            peak = max(map(sum, zip(*counts, strict=True))) * bins / place.end
            return f"{len(lane.times):,}, peak {peak:,.0f}/s"
        calls = len({bar.key for bar in lane.bars})
        return f"{calls}" if lane.kind is LaneKind.TOOL and calls > 1 else ""

    def _counts(self) -> tuple[tuple[list[int], list[int]], int]:
        bins = int(self._scale.plot / _RATE_STEP)
        return rates(self._lane, self._scale.end, bins), bins

    def _marbles(self, y: float) -> Iterator[str]:
        lane = self._lane
        free = [0.0, 0.0]  # where the two rows of texts are free
        for index, (time, raw) in enumerate(zip(lane.times, lane.texts, strict=True)):
            x, text = self._x(time), _one_line(raw)
            void = " void" if lane.is_void(index) else ""
            yield svg.circle(x, y + 14, 5, f"f-{self._colour}{void}", f"{seconds(time)}: {text}")
            label = svg.cut(text.strip(), 110, 11)
            half = svg.width_of(label, 11) / 2
            x = max(x, LEFT + half)
            row = next((row for row in (0, 1) if x - half >= free[row]), None)
            if label and row is not None and x + half < self._scale.width - 2:
                free[row] = x + half + 5
                yield svg.text(x, y + 31 + 12 * row, label, f"small f-ink{void}", "middle")

    def _lines(self, y: float) -> Iterator[str]:
        lane = self._lane
        for is_void in (False, True):
            xs = sorted(
                {
                    round(2 * self._x(time)) / 2
                    for index, time in enumerate(lane.times)
                    if lane.is_void(index) == is_void
                }
            )
            if xs:
                void = " void" if is_void else ""
                lines = "".join(f"M{n(x)} {n(y + 5)}v17" for x in xs)
                yield svg.path(lines, f"line thick s-{self._colour}{void}")
        yield from self._phrases(y + 38)

    def _phrases(self, y: float) -> Iterator[str]:
        """Yield the text of each burst of items below it, as far as there is room."""
        lane, least = self._lane, 2 * _MARBLE_SPACE
        xs = [self._x(time) for time in lane.times]
        starts = [
            index
            for index, x in enumerate(xs)
            if index == 0
            or x - xs[index - 1] > least
            or lane.is_void(index) != lane.is_void(index - 1)
        ]
        free, edge = LEFT, self._x(self._scale.end) - 4
        for start, end in zip(starts, [*starts[1:], len(xs)], strict=True):
            words = _one_line("".join(lane.texts[start:end])).strip()
            # A burst near the edge has no room for its text, which then begins further left.
            left = max(min(xs[start], edge - min(svg.width_of(words, 11), _PHRASE)), free)
            right = xs[end] - 8 if end < len(xs) else edge
            label = svg.cut(words, right - left, 11)
            if len(label) > 2:
                void = " void" if lane.is_void(start) else ""
                yield svg.text(left, y, label, f"small f-ink{void}")
                free = left + svg.width_of(label, 11) + 8

    def _rate(self, y: float) -> Iterator[str]:
        (valid, void), bins = self._counts()
        most = max(map(sum, zip(valid, void, strict=True)))
        base, height, step = y + self.height - 2, (self.height - 8) / most, self._scale.plot / bins
        for counts, style in ((valid, "area"), (void, "area void")):
            if not any(counts):
                continue
            commands = [f"M{n(LEFT)} {n(base)}"]
            for index, count in enumerate(counts):
                if index == 0 or count != counts[index - 1]:
                    commands.append(f"H{n(LEFT + index * step)}V{n(base - count * height)}")
            commands.append(f"H{n(LEFT + bins * step)}V{n(base)}Z")
            yield svg.path("".join(commands), f"f-{self._colour} {style}")

    def _bars(self, y: float) -> Iterator[str]:
        for row, bars in enumerate(self._rows):
            seen: set[tuple[int, int, str]] = set()
            free = 0.0  # where the next text of the row may begin
            top = y + row * ROW
            for bar in bars:
                left, right = self._x(bar.start), self._x(self._end_of(bar))
                place = round(left), round(right), bar.state
                if place in seen:
                    continue  # drawn already, to the pixel
                seen.add(place)
                right = max(right, left + 2)
                label, hint = self._words(bar)
                yield from self._bar(bar, left, right, top, hint)
                if not label:
                    continue
                room = svg.width_of(label, 11) + 8
                void = " void" if bar.is_void else ""
                x = left + 5
                if room > right - left and self._lane.kind is not LaneKind.TURNS:
                    x = right + 4
                    right += room
                if left >= free and x + room <= max(right, self._scale.width):
                    yield svg.text(x, top + 15, label, f"small f-ink{void}")
                free = max(free, right)

    def _end_of(self, bar: Bar) -> float:
        return self._scale.end if bar.end is None else bar.end

    def _words(self, bar: Bar) -> tuple[str, str]:
        """Return the text of a bar, and what is shown where the pointer rests on it."""
        name, time = self._lane.name, seconds(self._end_of(bar) - bar.start)
        if bar.state == "writing":
            return "", f"{name}: the model writes the call, {time}"
        if self._lane.kind is LaneKind.TURNS:
            return bar.note, f"turn {bar.note}: {time}"
        if self._lane.kind is LaneKind.APPROVALS:
            sign = {"done": "✓", "failed": "✗"}.get(bar.state, "…")
            return f"{sign} {bar.note} {time}", f"approval of {bar.note}: {time}"
        sign = "✗ " if bar.state == "failed" else ""
        return sign + time, f"{name} {bar.note}".strip() + f": {time}"

    def _bar(self, bar: Bar, left: float, right: float, y: float, hint: str) -> Iterator[str]:
        colour = "failed" if bar.state == "failed" else self._colour
        void = " void" if bar.is_void else ""
        width = right - left
        if bar.state == "writing":
            yield svg.rect(left, y + 9, width, 4, f"f-{colour} soft{void}", hint=hint)
            return
        yield svg.rect(left, y + 2, width, 18, f"f-{colour} soft{void}", hint=hint)
        frame = f"M{n(right)} {n(y + 2)}H{n(left)}v18H{n(right)}"
        yield svg.path(frame, f"line s-{colour}{void}")
        is_cut = bar.end is None or bar.state == "cancelled"
        dash = " dash" if is_cut else ""
        yield svg.path(f"M{n(right)} {n(y + 2)}v18", f"line s-{colour}{void}{dash}")
        ticks = sorted({round(self._x(tick)) for tick in bar.ticks})
        if ticks:
            lines = "".join(f"M{tick} {n(y + 2)}v4" for tick in ticks)
            yield svg.path(lines, f"line s-{colour}{void}")


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "⏎").replace("\t", " ")
