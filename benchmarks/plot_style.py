"""Colours and fonts of the plots, and SVG that can be read on a light and on a dark page.

matplotlib draws in the colours of the light page. Each of them is then replaced by a variable of a
style sheet in the file, which has a second set for dark pages.
"""

from __future__ import annotations

import io
import textwrap
from typing import Any, TypeAlias

from matplotlib.figure import Figure

from benchmarks.report import Report

Axes: TypeAlias = Any

INK, MUTED, GRID = "#1f2328", "#59636e", "#d9dee3"
OURS, BARE, OTHER = "#0969da", "#1a7f37", "#a5adb6"
LINES = (
    "#bc4c00",
    "#8250df",
    "#9a6700",
    "#bf3989",
    "#cf222e",
    "#6e7781",
    "#1b7c83",
    "#4d2d00",
    "#7d8b00",
)

_DARK = {
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#30363d",
    OURS: "#58a6ff",
    BARE: "#3fb950",
    OTHER: "#5b636c",
    "#bc4c00": "#ff9a50",
    "#8250df": "#bc8cff",
    "#9a6700": "#d29922",
    "#bf3989": "#f778ba",
    "#cf222e": "#ff7b72",
    "#6e7781": "#8b949e",
    "#1b7c83": "#56d4dd",
    "#4d2d00": "#c9a26d",
    "#7d8b00": "#c5d33a",
}
"""The colour on a dark page, by that on a light one."""

STYLE = {
    "font.family": "sans-serif",
    "font.size": 11,
    "svg.fonttype": "none",
    "svg.hashsalt": "rxagents",
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


_LETTERS = 120
"""The most letters of a line at the foot of a plot."""


def new_figure(report: Report, title: str, height: float) -> Figure:
    """Return a figure with a title, and a line about the machine at its foot."""
    figure = Figure(figsize=(8, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    machine, loads = report.machine, list(report.loads.values()) or [0.0]
    command = textwrap.fill(f"{machine.date} · {machine.command}", _LETTERS)
    figure.supxlabel(
        f"{command}\n{machine.processor}, {machine.cores} cores · Python {machine.python} · "
        f"rxagents {report.versions.get('rxagents', '')}, commit {machine.commit} · load of the "
        f"machine {min(loads):.1f} to {max(loads):.1f}",
        x=0.01,
        ha="left",
        fontsize=8,
        color=MUTED,
    )
    return figure


def figure_of_one(report: Report, title: str, height: float) -> tuple[Figure, Axes]:
    """Return a figure and its only pair of axes."""
    figure = new_figure(report, title, height)
    return figure, figure.add_subplot()


def svg_of(figure: Figure) -> str:
    """Return the figure as SVG, with a style sheet for light and dark pages."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    light, dark = ["--page:white"], ["--page:#0d1117"]
    for number, (colour, on_dark) in enumerate(_DARK.items()):
        text = text.replace(colour, f"var(--c{number})")
        light.append(f"--c{number}:{colour}")
        dark.append(f"--c{number}:{on_dark}")
    # matplotlib names no colour that is its default, black.
    style = (
        f"<style>svg{{{';'.join(light)};color-scheme:light dark}}"
        f"@media (prefers-color-scheme:dark){{svg{{{';'.join(dark)}}}}}"
        # A line that crosses a text is hidden around its letters.
        "text{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:round;"
        "font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif}</style>\n"
    )
    head, mark, rest = text.partition(" <defs>")
    return f"{head} {style}{mark}{rest}"
