"""Test ratios and spreads of a report, and its table of goals."""

from __future__ import annotations

import argparse
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from benchmarking import MACHINE, report_of
from rich.console import Console

from benchmarks.before import report_before
from benchmarks.report import Report, Series
from benchmarks.summary import compare, markdown, rows
from benchmarks.tables import show
from benchmarks.throughput import BURSTS, FULL_SPEED
from rxagents.core.errors import ConfigurationError


def test_ratio_is_median_of_ratios_of_rounds() -> None:
    report = report_of({"hand-written loop": [1.0, 10.0, 2.0], "rxagents": [2.0, 10.0, 12.0]})
    reference, _, ours, _ = report.series
    assert report.ratio(ours) == 2.0
    assert report.ratio(reference) is None
    assert ours.median == 10.0


def test_spread_is_half_of_quartile_distance() -> None:
    assert Series("any", "any", "any", "any", [1.0, 2.0, 3.0, 4.0, 100.0]).spread == 1.0
    assert Series("any", "any", "any", "any", [7.0]).spread == 0.0


def test_many_works_are_rows_of_table() -> None:
    report = Report(MACHINE, references={"wires": "rxagents"})
    for number in range(6):
        report.add("wires", f"wire {number}", "rxagents", "us a chunk", 2.0)
        for value in (3.0, 5.0):
            report.add("wires", f"wire {number}", "the other", "us a chunk", value)
    console = Console(width=100, file=StringIO())
    show(report, console, ["wires"])
    assert isinstance(console.file, StringIO)
    shown = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["│", "wire", "5", "│", "2.00", "│", "4.00", "±0.50", "1.50", "x", "│"] in shown


def live_report(lags: dict[str, tuple[float, float]]) -> Report:
    report = Report(MACHINE, references={"live": "bare aiohttp"})
    for streams, (bare, ours) in lags.items():
        report.add("live", f"{streams} streams", "bare aiohttp", "lag p99, ms", bare)
        report.add("live", f"{streams} streams", "rxagents", "lag p99, ms", ours)
        report.add("live", f"{streams} streams", "rxagents", "KiB a stream", 21.0)
    return report


def found_in(report: Report) -> dict[str, tuple[str, bool | None]]:
    return {row.work: (row.found, row.is_met) for row in rows(report)}


def test_summary_compares_with_goals() -> None:
    report = report_of({"hand-written loop": [1.0], "rxagents": [0.9]})
    assert found_in(report) == {
        f"stream to subscriber, {FULL_SPEED} / hand-written loop": ("0.90 x", True),
        f"stream to subscriber, {BURSTS} / hand-written loop": ("0.90 x", True),
    }


def test_live_streams_stay_near_bare_aiohttp() -> None:
    lags = {"100": (5.0, 49.0), "1,000": (80.0, 110.0), "2,000": (80.0, 130.0)}
    report = live_report(lags)
    assert found_in(report) == {
        "live streams on a core in real time": ("1,000", False),
        "memory of a live stream, 1,000 streams": ("21.0 KiB", False),
    }
    assert "| live streams on a core in real time | 1,000 | at least 2,000 | no |" in markdown(
        report
    )
    report.add("live", "1,000 streams", "rxagents", "% in time", 89.0)
    assert found_in(report)["live streams on a core in real time"] == ("100", False)


def test_summary_shows_times_above_bare_aiohttp() -> None:
    report = Report(MACHINE, references={"first": "bare aiohttp"})
    for contender, value in (("bare aiohttp", 0.4), ("rxagents", 0.6)):
        report.add("first", "open connection", contender, "ms to the first text", value)
    assert found_in(report) == {"time to the first text / bare aiohttp": ("1.50 x, +200 us", None)}


def test_summary_shows_figures_of_another_report(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_bytes(
        msgspec.json.encode(report_of({"hand-written loop": [1.0], "rxagents": [1.3]}))
    )
    report = report_of({"hand-written loop": [1.0], "rxagents": [0.9]})
    compare(report, report_before(argparse.Namespace(against=str(file))))
    lines = markdown(report).splitlines()
    assert lines[0] == "| work | commit abc | now | goal | met |"
    assert lines[2].endswith("| 1.30 x | 0.90 x | at most 0.95 x | yes |")


def test_against_names_report_or_commit() -> None:
    with pytest.raises(ConfigurationError, match=r"'no-such' is neither a report nor a commit"):
        report_before(argparse.Namespace(against="no-such"))
