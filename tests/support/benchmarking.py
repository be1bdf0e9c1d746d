"""Reports and runs of the benchmarks, without measuring."""

from __future__ import annotations

from benchmarks.replay_server import ReplayServer
from benchmarks.report import Machine, Report
from benchmarks.run import Run
from benchmarks.throughput import BURSTS, FULL_SPEED
from benchmarks.workers import Workers

MACHINE = Machine("2026-01-02 03:04 UTC", "abc", "python -m benchmarks", "any", 2, "any", "3.11")


def report_of(values: dict[str, list[float]], scenario: str = "bursts") -> Report:
    """Return a report with the microseconds a chunk of each contender."""
    report = Report(MACHINE, references={scenario: "hand-written loop"})
    for contender, each in values.items():
        for value in each:
            for work in (BURSTS, FULL_SPEED):
                report.add(scenario, work, contender, "us a chunk", value)
    return report


def run_of(
    scenario: str, workers: Workers, *, quick: bool = True, rounds: int | None = None
) -> tuple[Run, Report]:
    """Return a run without servers, and its report."""
    report, server = Report(MACHINE), ReplayServer("", "", "")
    run = Run(scenario, quick=quick, report=report, workers=workers, server=server, rounds=rounds)
    return run, report
