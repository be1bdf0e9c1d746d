"""Compute what a picture says about a run in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rxagents.pictures.lanes import Lane, LaneKind
from rxagents.pictures.timeline import Timeline

_SHORTEST = 0.04
"""The shortest gap that is named, as a part of the run's duration."""

_OUTSTANDING = 4
"""How many times longer than the usual pause a gap must be to be named."""

_MOST_GAPS = 5


def seconds(time: float) -> str:
    """Return a duration with its unit, such as `"340 ms"`, `"4.2 s"` or `"3 min 05 s"`."""
    if time < 0.9995:
        return f"{time * 1000:.0f} ms"
    if time < 99.95:
        return f"{time:.1f} s"
    minutes, rest = divmod(round(time), 60)
    return f"{minutes} min {rest:02} s"


def plural(count: int, word: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def gaps(timeline: Timeline, end: float) -> list[tuple[float, float]]:
    """Return the longest times in which nothing came, no tool ran and no approval was waited for.

    Args:
        timeline: The run.
        end: Its end, in seconds; the run is silent from its last item to there.
    """
    busy: list[tuple[float, float]] = [(0.0, 0.0), (end, end)]
    for lane in timeline.lanes:
        busy += [(time, time) for time in lane.times]
        if lane.kind is not LaneKind.TURNS:
            busy += [(bar.start, end if bar.end is None else bar.end) for bar in lane.bars]
    busy.sort()
    found: list[tuple[float, float]] = []
    until = 0.0
    for start, stop in busy:
        if start > until:
            found.append((until, start))
        until = max(until, stop)
    if not found:
        return []
    # A quarter of the pauses are shorter. The median would be a gap itself where there are few.
    usual = sorted(stop - start for start, stop in found)[len(found) // 4]
    least = max(_SHORTEST * end, _OUTSTANDING * usual if len(found) > 2 else 0.0)
    longest = sorted(
        (gap for gap in found if gap[1] - gap[0] >= least), key=lambda gap: gap[0] - gap[1]
    )
    return sorted(longest[:_MOST_GAPS])


def axis(duration: float, most: int) -> tuple[float, list[float]]:
    """Return the step of an axis, and the times at which it has a label.

    Args:
        duration: Its length in seconds.
        most: How many labels it may have.
    """
    raw = duration / most
    steps = [n * 10.0**exponent for exponent in range(-6, 1) for n in (1, 2, 5)]
    steps += [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0]
    step = next((step for step in sorted(steps) if step >= raw), 3600.0 * math.ceil(raw / 3600))
    return step, [number * step for number in range(int(duration / step + 1e-9) + 1)]


def axis_label(time: float, step: float) -> str:
    """Return the label of a time on an axis."""
    if step >= 15:
        minutes, rest = divmod(round(time), 60)
        return f"{minutes}:{rest:02}"
    if step < 0.1:
        return f"{time * 1000:g} ms" if time else "0"
    return f"{time:.{0 if step >= 1 else 1}f} s" if time else "0"


def summary(timeline: Timeline, duration: float) -> str:
    """Return the run in one line, such as `"10 tokens in 1.2 s, 1 tool call, completed"`."""
    return ", ".join(_parts(timeline, duration))


def _parts(timeline: Timeline, duration: float) -> Iterator[str]:
    lanes = list(timeline.lanes)
    counts = {
        "token": sum(len(lane.times) for lane in lanes if lane.kind is LaneKind.TOKENS),
        "item": sum(len(lane.times) for lane in lanes if lane.kind is LaneKind.ITEMS),
    }
    shown = [plural(count, word) for word, count in counts.items() if count]
    yield f"{' and '.join(shown) or 'no items'} in {seconds(duration)}"
    firsts = [lane.times[0] for lane in lanes if lane.kind is LaneKind.TOKENS and lane.times]
    if firsts:
        yield f"the first after {seconds(min(firsts))}"
    calls = {
        (lane.name, lane.path, bar.key)
        for lane in lanes
        if lane.kind is LaneKind.TOOL
        for bar in lane.bars
    }
    if calls:
        yield plural(len(calls), "tool call")
    if resets := sum(mark.kind == "reset" for mark in timeline.marks):
        yield plural(resets, "reset")
    yield ending(timeline)


def ending(timeline: Timeline) -> str:
    """Return how the run has ended, in a word or two."""
    end = timeline.end
    if end is None:
        return "running"
    if end.how == "completed" and timeline.finish_reason not in {"", "stop"}:
        return f"completed: {timeline.finish_reason}"
    if end.how == "failed":
        return f"failed: {end.text.partition(':')[0]}"
    return "no end recorded" if end.how == "unknown" else end.how


def rates(lane: Lane, duration: float, bins: int) -> tuple[list[int], list[int]]:
    """Count the items of a lane in equal parts of the run.

    Returns:
        The counts of the items that are valid, and of those that a reset has voided.
    """
    valid, void = [0] * bins, [0] * bins
    for time in lane.times:
        valid[min(int(time / duration * bins), bins - 1)] += 1
    for first, last in lane.voids:
        for time in lane.times[first:last]:
            number = min(int(time / duration * bins), bins - 1)
            if valid[number]:
                valid[number] -= 1
                void[number] += 1
    return valid, void
