"""Draw the plots with a line for each contender: delay and cost against a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from benchmarks.live import BROKEN_LAG_MS, BROKEN_SHARE
from benchmarks.plot_style import BARE, LINES, OTHER, OURS, Axes, figure_of_one
from benchmarks.report import Report, Series

_LINE_PIXELS = 19.0
"""The distance of two labels, one below the other."""


def lag(report: Report) -> Figure:
    """Draw the lag against the number of streams, and where each peer breaks."""
    figure, axes = figure_of_one(
        report, "Delay of a chunk, 99th percentile, 20 chunks a second a stream", 5
    )
    ends = []
    for contender, colour in _colours(report.find("live", measure="lag p99, ms")):
        series = report.find("live", contender=contender, measure="lag p99, ms")
        shares = {
            one.work: one.median
            for one in report.find("live", contender=contender, measure="% in time")
        }
        points = [(_streams(one), one.median) for one in series]
        width = 2.6 if contender == "rxagents" else 1.5
        axes.plot(
            *zip(*points, strict=True), color=colour, linewidth=width, marker="o", markersize=4
        )
        last = series[-1]
        breaks = last.median > BROKEN_LAG_MS or shares.get(last.work, 100) < 100 * BROKEN_SHARE
        if breaks:
            axes.plot(*points[-1], marker="X", markersize=11, color=colour)
        ends.append((points[-1], f"{contender}{' breaks' if breaks else ''}", colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=2.5 * max(height for (_, height), _, _ in ends))  # room for the labels
    counts = sorted({_streams(one) for one in report.find("live")})
    axes.set_xticks(counts, [f"{count:,.0f}" for count in counts])
    axes.minorticks_off()
    axes.set_xlim(counts[0] * 0.9, counts[-1] * 3)
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel("streams on one core")
    axes.set_ylabel("ms (logarithmic)")
    _end_labels(axes, ends)
    return figure


def length(report: Report) -> Figure:
    """Draw the cost of a chunk against the length of the answer."""
    figure, axes = figure_of_one(
        report, "CPU time of a chunk against the length of the answer", 4.5
    )
    ends = []
    for contender, colour in _colours(report.find("length")):
        points = [(_streams(one), one.median) for one in report.find("length", contender=contender)]
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=2, marker="o", markersize=4)
        ends.append((points[-1], contender, colour))
    lengths = sorted({_streams(one) for one in report.find("length")})
    axes.set_xscale("log")
    axes.set_xticks(lengths, [f"{count:,.0f}" for count in lengths])
    axes.minorticks_off()
    axes.set_xlim(lengths[0] * 0.8, lengths[-1] * 20)
    values = [one.median for one in report.find("length")]
    if max(values) > 20 * min(values):
        axes.set_yscale("log")
        axes.set_ylim(min(values) / 2, max(values) * 2)
        axes.yaxis.set_major_formatter("{x:,g}")
    else:
        axes.set_ylim(0, max(values) * 1.2)
    axes.set_xlabel("chunks of an answer, 64 a read")
    axes.set_ylabel("us a chunk")
    _end_labels(axes, ends)
    return figure


def _end_labels(axes: Axes, ends: list[tuple[tuple[float, float], str, str]]) -> None:
    """Write the name of each line at its end, one below the other where they are close."""
    axes.figure.canvas.draw()
    for x in {x for (x, _), _, _ in ends}:
        column = sorted((end for end in ends if end[0][0] == x), key=lambda end: end[0][1])
        heights = [float(axes.transData.transform(end[0])[1]) for end in column]
        for (place, text, colour), height, free in zip(
            column, heights, apart(heights, _LINE_PIXELS), strict=True
        ):
            axes.annotate(
                text,
                place,
                xytext=(9, (free - height) * 72 / axes.figure.dpi),
                textcoords="offset points",
                va="center",
                fontsize=9.5,
                color=colour,
                weight="bold" if text.startswith("rxagents") else "normal",
            )


def apart(places: list[float], distance: float) -> list[float]:
    """Move rising places apart, so that each is `distance` from the next, as little as possible."""
    groups: list[tuple[float, int]] = []  # the middle of a group, and how many it has
    for place in places:
        middle, count = place, 1
        while groups and middle - groups[-1][0] < distance * (count + groups[-1][1]) / 2:
            below, more = groups.pop()
            middle = (middle * count + below * more) / (count + more)
            count += more
        groups.append((middle, count))
    return [
        middle + distance * (number - (count - 1) / 2)
        for middle, count in groups
        for number in range(count)
    ]


def _colours(series: Sequence[Series]) -> Iterator[tuple[str, str]]:
    """Yield each contender with the colour of its line."""
    others = iter(LINES)
    for contender in dict.fromkeys(one.contender for one in series):
        if contender == "rxagents":
            yield contender, OURS
        elif contender == "bare aiohttp":
            yield contender, BARE
        else:
            yield contender, next(others, OTHER)


def _streams(series: Series) -> float:
    return float(series.work.split(" ")[0].replace(",", ""))
