"""Draw the plots of a report as SVG files that can be read on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.live import BROKEN_LAG_MS, BROKEN_SHARE
from benchmarks.peers import WIRES
from benchmarks.plot_style import BARE, LINES, OTHER, OURS, STYLE, Axes, new_figure, svg_of
from benchmarks.report import Report, Series
from benchmarks.throughput import BURSTS, FULL_SPEED


def draw(report: Report, folder: Path) -> Iterator[Path]:
    """Draw the plots that the report has figures for; yield their files."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, figure in _figures(report):
            path = folder / f"{name}.svg"
            path.write_text(svg_of(figure))
            yield path


def _figures(report: Report) -> Iterator[tuple[str, Figure]]:
    if chunks := report.find("bursts", work=BURSTS):
        title = f"CPU time of a chunk, {BURSTS}"
        yield "chunks", _bars(report, chunks, title, "us a chunk, and times the hand-written loop")
    if report.find("wires"):
        yield "wires", _wires(report)
    if report.find("tokens"):
        work = BURSTS if report.find("tokens", work=BURSTS) else FULL_SPEED
        tokens = report.find("tokens", work=work)
        title = f"CPU time of an agent's token, {work}"
        yield "tokens", _bars(report, tokens, title, "us a token, and times rxagents' own stream")
    if report.find("live", measure="lag p99, ms"):
        yield "live_lag", _lag(report)
    if memory := report.find("live", measure="KiB a stream"):
        work = memory[0].work
        chosen = [one for one in memory if one.work == work]
        yield "live_memory", _bars(report, chosen, f"Memory of a live stream, {work}", "KiB")
    if report.find("length"):
        yield "length", _length(report)
    if report.find("tls"):
        yield "tls", _tls(report)
    if report.find("slow"):
        yield "slow", _slow(report)


def _axes(report: Report, title: str, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(report, title, height)
    return figure, figure.add_subplot()


def _bars(report: Report, series: Sequence[Series], title: str, label: str) -> Figure:
    """Draw a bar for each contender, the smallest at the top."""
    ordered = sorted(series, key=lambda one: one.median, reverse=True)
    figure, axes = _axes(report, title, 1.5 + 0.32 * len(ordered))
    _draw_bars(axes, [one.contender for one in ordered], ordered)
    for position, one in enumerate(ordered):
        ratio = report.ratio(one)
        text = _number(one.median) + ("" if ratio is None else f",  {_number(ratio)} x")
        _label(axes, one.median, position, text, one.contender)
    _finish_bars(axes, ordered, label)
    return figure


def _wires(report: Report) -> Figure:
    """Draw two bars for each wire: rxagents and the vendor's library."""
    found = report.find("wires")
    work = BURSTS if any(one.work.endswith(BURSTS) for one in found) else FULL_SPEED
    series = [one for one in found if one.work.endswith(work)]
    ordered = list(reversed(series))
    figure, axes = _axes(report, f"CPU time of a chunk, {work}", 1.5 + 0.32 * len(series))
    names = [f"{wire}: {library}" for wire, library in map(_wire_and_library, ordered)]
    _draw_bars(axes, names, ordered)
    for position, one in enumerate(ordered):
        ratio = report.ratio(one)
        text = _number(one.median) + ("" if ratio is None else f",  {_number(ratio)} x")
        _label(axes, one.median, position, text, one.contender)
    _finish_bars(axes, ordered, "us a chunk, and times rxagents")
    return figure


def _wire_and_library(series: Series) -> tuple[str, str]:
    wire = series.work.partition(",")[0]
    ours, theirs = WIRES[wire]
    return wire, (ours if series.contender == "rxagents" else theirs).partition(",")[0]


def _tls(report: Report) -> Figure:
    """Draw two bars for each contender: without and with TLS."""
    series = report.find("tls")
    contenders = list(dict.fromkeys(one.contender for one in series))
    ordered = [
        one
        for contender in reversed(contenders)
        for one in reversed(report.find("tls", contender=contender))
    ]
    figure, axes = _axes(
        report, "CPU time of a chunk without and with TLS", 1.5 + 0.32 * len(ordered)
    )
    _draw_bars(axes, [f"{one.contender}, {one.work}" for one in ordered], ordered)
    for position, one in enumerate(ordered):
        plain = report.find("tls", work="plain", contender=one.contender)
        ratio = None if one.work == "plain" or not plain else one.ratio(plain[0])
        text = _number(one.median) + ("" if ratio is None else f",  {_number(ratio)} x")
        _label(axes, one.median, position, text, one.contender)
    _finish_bars(axes, ordered, "us a chunk, 16 a read, and times the same without TLS")
    return figure


_SLOW = {
    "% of the text": "text that was read, %",
    "age when read, p50, ms": "age when read, ms",
    "KiB grown": "memory, KiB",
}
"""The measures of slow readers that are drawn, with the label of their axis."""


def _slow(report: Report) -> Figure:
    """Draw what each policy gives up: text, its age, or the stream."""
    title = "A reader of 200 items a second, of a stream of 1,000, under each policy"
    ends = report.find("slow", measure="s until the end")
    longest = max((one.median for one in ends), default=0.0)
    names = {
        one.contender: f"{one.contender}: fails after {one.median:.1f} s"
        for one in ends
        if one.median < 0.9 * longest
    }
    figure = new_figure(report, title, 3.2)
    panels = figure.subplots(1, len(_SLOW), sharey=True)
    for axes, (measure, label) in zip(panels, _SLOW.items(), strict=True):
        ordered = list(reversed(report.find("slow", measure=measure)))
        policies = [names.get(one.contender, one.contender) for one in ordered]
        _draw_bars(axes, policies, ordered, colour=OURS)
        for position, one in enumerate(ordered):
            _label(axes, one.median, position, f"{one.median:,.0f}", one.contender)
        axes.set_xlim(0, max(one.median for one in ordered) * 1.4 or 1)
        axes.locator_params(axis="x", nbins=3, prune="upper")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel(label)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    return figure


def _draw_bars(
    axes: Axes, names: list[str], series: Sequence[Series], colour: str | None = None
) -> None:
    axes.barh(
        names,
        [one.median for one in series],
        color=[colour or _bar_colour(one.contender) for one in series],
        height=0.68,
    )


def _label(axes: Axes, value: float, position: int, text: str, contender: str) -> None:
    weight = "bold" if contender.startswith("rxagents") else "normal"
    offset = {"xytext": (5, 0), "textcoords": "offset points"}
    axes.annotate(text, (value, position), va="center", fontsize=10, weight=weight, **offset)


def _finish_bars(axes: Axes, series: Sequence[Series], label: str) -> None:
    """Scale the axis: with logarithms if the bars differ by more than 20."""
    medians = [one.median for one in series]
    if max(medians) > 20 * min(medians):
        axes.set_xscale("log")
        axes.set_xlim(min(medians) / 2, max(medians) * 4)
        label += " (logarithmic)"
    else:
        axes.set_xlim(0, max(medians) * 1.25)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter("{x:g}")


def _bar_colour(contender: str) -> str:
    if contender.startswith("rxagents"):
        return OURS
    return BARE if contender in {"bare aiohttp", "hand-written loop"} else OTHER


def _lag(report: Report) -> Figure:
    """Draw the lag against the number of streams, and where each peer breaks."""
    figure, axes = _axes(
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
    counts = sorted({_streams(one) for one in report.find("live")})
    axes.set_xticks(counts, [f"{count:,.0f}" for count in counts])
    axes.minorticks_off()
    axes.set_xlim(counts[0] * 0.9, counts[-1] * 3)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("streams on one core")
    axes.set_ylabel("ms (logarithmic)")
    _end_labels(axes, ends)
    return figure


def _length(report: Report) -> Figure:
    """Draw the cost of a chunk against the length of the answer."""
    figure, axes = _axes(report, "CPU time of a chunk against the length of the answer", 4.5)
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
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, max(values) * 1.2)
    axes.set_xlabel("chunks of an answer, 64 a read")
    axes.set_ylabel("us a chunk")
    _end_labels(axes, ends)
    return figure


def _end_labels(axes: Axes, ends: list[tuple[tuple[float, float], str, str]]) -> None:
    """Write the name of each line at its end, one below the other where they are close."""
    axes.figure.canvas.draw()
    lowest: dict[float, float] = {}
    for (x, y), text, colour in sorted(ends, key=lambda end: -end[0][1]):
        _, pixels = axes.transData.transform((x, y))
        place = min(pixels, lowest.get(x, pixels + 1e9) - 19)
        lowest[x] = place
        axes.annotate(
            text,
            (x, y),
            xytext=(9, (place - pixels) * 72 / axes.figure.dpi),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=colour,
            weight="bold" if text.startswith("rxagents") else "normal",
        )


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


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
