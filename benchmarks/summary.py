"""Compare a report with the goals of this project, in one table.

The goals of a chunk and a token are for answers at full speed, in which the reads are large, if the
row names nothing else. Chat completions are as OpenAI sends them, with a random field in each
event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.live import BROKEN_SHARE
from benchmarks.report import Report, Series
from benchmarks.throughput import BURSTS, FULL_SPEED, ONLY_TEXT

_LAG_MS = 50.0
_LAG_RATIO = 1.5
"""A stream is live if its p99 lag is below `_LAG_MS`, or below this times that of bare aiohttp."""

_LIVE = "1,000 streams"
"""The number of streams that the goals of CPU time and of memory are for."""


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        work: What was measured.
        found: The figure.
        goal: The goal; empty if there is none.
        is_met: Whether the figure reaches it.
    """

    work: str
    found: str
    goal: str = ""
    is_met: bool | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal is met, in words; empty without a goal."""
        return "" if self.is_met is None else "yes" if self.is_met else "no"


def rows(report: Report) -> Iterator[Row]:
    """Yield a row for each goal that the report has figures for."""
    for shape in (FULL_SPEED, BURSTS, FULL_SPEED + ONLY_TEXT, BURSTS + ONLY_TEXT):
        found = _ratio(report, "bursts", "rxagents", "", shape)
        yield from _at_most(f"stream to subscriber, {shape} / hand-written loop", found, 0.95)
    for work, scenario, contender, reference, most in (
        ("map, filter, scan / hand-written loop", "pipes", "rxagents, 3 operators", "", 1.6),
        ("map, filter, scan / our own stream", "pipes", "rxagents, 3 operators", "rxagents", 1.6),
        ("ops.fuse / hand-written loop", "pipes", "rxagents, ops.fuse", "", 1.3),
        ("ops.fuse / our own stream", "pipes", "rxagents, ops.fuse", "rxagents", 1.3),
        ("FunctionAgent / our own stream", "tokens", "rxagents FunctionAgent", "", 2.0),
        ("ReActAgent / our own stream", "tokens", "rxagents ReActAgent", "", 2.0),
    ):
        yield from _at_most(work, _ratio(report, scenario, contender, reference), most)
    for wire, library, least in (
        ("chat completions", "openai", 90),
        ("Anthropic", "anthropic", 14),
        ("Ollama", "ollama", 11),
        ("Gemini", "google-genai", 28),
        ("Responses", "openai, Responses", 55),
    ):
        found = _ratio(report, "wires", "vendor's library", "rxagents", f"{wire}, {FULL_SPEED}")
        yield from _at_least(f"{library} / rxagents", found, least)
    found = _ratio(report, "tokens", "pydantic-ai", "rxagents FunctionAgent")
    yield from _at_least("pydantic-ai / FunctionAgent", found, 80)
    found = _ratio(report, "live", "rxagents", "bare aiohttp", _LIVE, "us a chunk")
    yield from _at_most(f"CPU of {_LIVE}, live / bare aiohttp", found, 0.8)
    yield from _live_streams(report)
    yield from _memory(report)
    yield from _at_most("import / its libraries", _ratio(report, "start", "rxagents", ""), 1.1)
    yield from _later_than_bare(report, "time to the first text", "first", "ms to the first text")
    yield from _later_than_bare(report, "from dispose() to the server", "dispose", "ms, p50")
    yield from _growth(report)


def show_summary(report: Report, console: Console) -> None:
    """Print the table."""
    found = list(rows(report))
    if not found:
        return
    table = Table(title="Against the goals")
    for heading in _headings(report):
        table.add_column(heading, justify="left" if heading in {"work", "met"} else "right")
    for row in found:
        table.add_row(*_cells(report, row))
    console.print(table)


def _headings(report: Report) -> list[str]:
    before = [f"commit {report.commit_before}"] if report.before else []
    return ["work", *before, "now", "goal", "met"]


def _cells(report: Report, row: Row) -> list[str]:
    before = [report.before.get(row.work, "")] if report.before else []
    return [row.work, *before, row.found, row.goal, row.verdict]


def compare(report: Report, before: Report) -> None:
    """Add the figures of another report to the table of this one."""
    report.before = {row.work: row.found for row in rows(before)}
    report.commit_before = before.machine.commit


def markdown(report: Report) -> str:
    """Return the table as Markdown, with the command and the machine."""
    headings = _headings(report)
    table = [headings, ["---"] * len(headings), *(_cells(report, row) for row in rows(report))]
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    machine = report.machine
    lines += [
        "",
        f"`{machine.command}`, {machine.date}, {machine.processor}, {machine.cores} cores, Python "
        f"{machine.python}, commit {machine.commit}.",
    ]
    return "\n".join(lines) + "\n"


def _at_most(work: str, ratio: float | None, most: float) -> Iterator[Row]:
    if ratio is not None:
        yield Row(work, f"{ratio:.2f} x", f"at most {most:g} x", ratio <= most)


def _at_least(work: str, ratio: float | None, least: float) -> Iterator[Row]:
    if ratio is not None:
        yield Row(work, f"{ratio:.1f} x", f"at least {least:g} x", ratio >= least)


def _one(report: Report, scenario: str, contender: str, work: str, measure: str) -> Series | None:
    found = [
        one
        for one in report.find(scenario, contender=contender)
        if work in {"", one.work} and measure in {"", one.measure}
    ]
    return found[0] if found else None


def _ratio(
    report: Report,
    scenario: str,
    contender: str,
    reference: str,
    work: str = "",
    measure: str = "",
) -> float | None:
    """Return a ratio; to the reference of the scenario if none is named."""
    if scenario in {"bursts", "pipes", "tokens"}:
        work = work or FULL_SPEED
    mine = _one(report, scenario, contender, work, measure)
    name = reference or report.references.get(scenario, "")
    other = _one(report, scenario, name, work, measure)
    return None if mine is None or other is None else mine.ratio(other)


def _live_streams(report: Report) -> Iterator[Row]:
    """Yield the largest number of streams whose chunks came in time and within the limit."""
    most = 0
    for one in report.find("live", contender="rxagents", measure="lag p99, ms"):
        bare = _one(report, "live", "bare aiohttp", one.work, one.measure)
        share = _one(report, "live", "rxagents", one.work, "% in time")
        limit = max(_LAG_MS, _LAG_RATIO * bare.median if bare else 0.0)
        if one.median > limit or (share is not None and share.median < 100 * BROKEN_SHARE):
            break
        most = int(one.work.split(" ")[0].replace(",", ""))
    if report.find("live"):
        yield Row(
            "live streams on a core in real time", f"{most:,}", "at least 2,000", most >= 2_000
        )


def _memory(report: Report) -> Iterator[Row]:
    found = _one(report, "live", "rxagents", _LIVE, "KiB a stream")
    if found is not None:
        work = f"memory of a live stream, {_LIVE}"
        yield Row(work, f"{found.median:.1f} KiB", "at most 20 KiB", found.median <= 20)


def _later_than_bare(report: Report, work: str, scenario: str, measure: str) -> Iterator[Row]:
    """Yield by how much bare aiohttp is faster, in microseconds and as a ratio."""
    mine = _one(report, scenario, "rxagents", "", measure)
    bare = _one(report, scenario, "bare aiohttp", "", measure)
    if mine is not None and bare is not None:
        more, ratio = (mine.median - bare.median) * 1e3, mine.ratio(bare) or 0.0
        yield Row(f"{work} / bare aiohttp", f"{ratio:.2f} x, {more:+.0f} us")


def _growth(report: Report) -> Iterator[Row]:
    """Yield the cost of a chunk in a long answer over that in one of 2,000."""
    found = report.find("length", contender="rxagents")
    if len(found) > 1:
        ratio = found[-1].median / found[0].median
        work = f"a chunk of {found[-1].work} / of {found[0].work}"
        yield Row(work, f"{ratio:.2f} x", "at most 1.2 x", ratio <= 1.2)
