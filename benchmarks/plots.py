"""Draw the plots of a report as SVG files that can be read on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.line_plots import lag, length
from benchmarks.peers import WIRES
from benchmarks.plot_style import BARE, OTHER, OURS, STYLE, Axes, figure_of_one, new_figure, svg_of
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
        yield "live_lag", lag(report)
    if memory := report.find("live", measure="KiB a stream"):
        work = memory[0].work
        chosen = [one for one in memory if one.work == work]
        yield "live_memory", _bars(report, chosen, f"Memory of a live stream, {work}", "KiB")
    if report.find("length"):
        yield "length", length(report)
    if report.find("tls"):
        yield "tls", _tls(report)
    if report.find("slow"):
        yield "slow", _slow(report)


def _bars(report: Report, series: Sequence[Series], title: str, label: str) -> Figure:
    """Draw a bar for each contender, the smallest at the top."""
    ordered = sorted(series, key=lambda one: one.median, reverse=True)
    figure, axes = figure_of_one(report, title, 1.5 + 0.32 * len(ordered))
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
    figure, axes = figure_of_one(report, f"CPU time of a chunk, {work}", 1.5 + 0.32 * len(series))
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
    figure, axes = figure_of_one(
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
    axes.xaxis.set_major_formatter("{x:,g}")


def _bar_colour(contender: str) -> str:
    if contender.startswith("rxagents"):
        return OURS
    return BARE if contender in {"bare aiohttp", "hand-written loop"} else OTHER


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
