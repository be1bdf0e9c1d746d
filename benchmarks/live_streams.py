"""Read many live streams on one core in real time: bare aiohttp, rxagents, the openai SDK.

    pip install -e '.[benchmarks]'
    python benchmarks/live_streams.py
    python benchmarks/live_streams.py --streams 300 --contenders aiohttp rxagents --rounds 9

Every chunk carries the time at which it was sent, and all contenders measure its delay in the
same way; bare aiohttp finds the text in the bytes and decodes nothing. Each contender runs in a
new process on one core, the server on another. They take turns, round by round; the table shows
medians.

CPU time and delay are measured after the warm-up. Memory is the growth of the process for each
stream at the end of the warm-up, when all streams are connected. A contender that cannot keep up
is stopped after a time limit and reports the figures it has by then.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import sys
from pathlib import Path
from typing import Any

import msgspec
from live_client import Outcome, Plan, run_client
from live_contenders import CONTENDERS
from paced_server import paced_server
from rich.console import Console
from rich.table import Table

_MEASURES = (
    "us_per_chunk",
    "lag_p50_ms",
    "lag_p99_ms",
    "kib_per_stream",
    "chunks_share",
    "server_share",
)
_RATIOS = ("us_per_chunk", "lag_p99_ms")
_FAULTS = ("silent", "lost")
_COLUMNS = {
    "us_per_chunk": ("us a chunk", "{:.1f}"),
    "us_per_chunk_ratio": ("x aiohttp", "{:.2f}"),
    "lag_p50_ms": ("lag p50 ms", "{:.1f}"),
    "lag_p99_ms": ("lag p99 ms", "{:.1f}"),
    "lag_p99_ms_ratio": ("x aiohttp", "{:.2f}"),
    "kib_per_stream": ("KiB a stream", "{:.1f}"),
    "chunks_share": ("read in time", "{:.0%}"),
    "server_share": ("server CPU", "{:.0%}"),
    "silent": ("silent", "{:.0f}"),
    "lost": ("lost", "{:.0f}"),
}


def measure(
    url: str, streams: int, contenders: list[str], rounds: int, plan: Plan
) -> dict[str, list[Outcome]]:
    """Run the contenders in turns; return the outcomes of each, by round."""
    seen: dict[str, list[Outcome]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            seen[name].append(run_client(url, name, streams, plan))
    return seen


def summarize(streams: int, seen: dict[str, list[Outcome]]) -> list[dict[str, Any]]:
    """Return a row for each contender; a ratio is the median of the ratios of each round."""
    return [
        {
            "contender": name,
            "streams": streams,
            **_figures(outcomes),
            **(_ratios(outcomes, seen["aiohttp"]) if "aiohttp" in seen else {}),
            "failures": sorted({failure for outcome in outcomes for failure in outcome.failures}),
            "rounds": msgspec.to_builtins(outcomes),
        }
        for name, outcomes in seen.items()
    ]


def _figures(outcomes: list[Outcome]) -> dict[str, float]:
    """Return the median of each figure, and the maximum of those that should be 0."""
    figures: dict[str, float] = {
        name: max(getattr(one, name) for one in outcomes) for name in _FAULTS
    }
    for name in _MEASURES:
        known = [value for one in outcomes if (value := getattr(one, name)) is not None]
        if known:
            figures[name] = round(statistics.median(known), 3)
    return figures


def _ratios(outcomes: list[Outcome], bare: list[Outcome]) -> dict[str, float]:
    pairs = list(zip(outcomes, bare, strict=True))
    return {
        f"{name}_ratio": round(
            statistics.median(getattr(one, name) / getattr(other, name) for one, other in pairs), 3
        )
        for name in _RATIOS
    }


def show(rows: list[dict[str, Any]], plan: Plan) -> None:
    """Print a table for each number of streams, and the errors of streams."""
    console = Console()
    for streams in dict.fromkeys(row["streams"] for row in rows):
        table = Table(title=f"{streams:,} live streams, {plan.rate:g} chunks a second each")
        table.add_column("")
        for heading, _ in _COLUMNS.values():
            table.add_column(heading, justify="right")
        for row in rows:
            if row["streams"] == streams:
                table.add_row(row["contender"], *_cells(row))
        console.print(table)
    for row in rows:
        for failure in row["failures"]:
            console.print(f"{row['contender']}, {row['streams']:,} streams: {failure}")


def _cells(row: dict[str, Any]) -> list[str]:
    return [form.format(row[name]) if name in row else "" for name, (_, form) in _COLUMNS.items()]


def allow_open_files(needed: int) -> None:
    """Raise the limit on open files of this process and of its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(
            f"{needed} open files are needed, and this system allows {hard}: raise the hard limit "
            "(ulimit -Hn) or use fewer --streams."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def main() -> None:
    """Measure, print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=20.0, help="chunks a second, each stream")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of a measurement")
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds before the measurement")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/live_streams.json"))
    options = parser.parse_args()
    plan = Plan(rate=options.rate, seconds=options.seconds, warm_up=options.warm_up)
    allow_open_files(max(options.streams) + 100)
    rows = []
    with paced_server(plan.rate) as url:
        for streams in options.streams:
            seen = measure(url, streams, options.contenders, options.rounds, plan)
            rows += summarize(streams, seen)
    show(rows, plan)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    result = {"python": platform.python_version(), "plan": msgspec.to_builtins(plan), "rows": rows}
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")


if __name__ == "__main__":
    main()
