"""Measure rxagents beside other libraries, and say where the time goes.

python -m benchmarks --quick
python -m benchmarks --full --install --json report.json --plot docs/benchmarks
python -m benchmarks --only bursts wires --against main~20
python -m benchmarks --chain examples.custom_chain:chain
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks.before import report_before
from benchmarks.environments import Environments, default_cache
from benchmarks.replay_server import replay_server
from benchmarks.report import Report, our_versions, this_machine
from benchmarks.run import Run
from benchmarks.scenarios import SCENARIOS
from benchmarks.summary import compare, markdown, rows, show_summary
from benchmarks.tables import show, show_end
from benchmarks.worker import load
from benchmarks.workers import all_workers
from rxagents.core.errors import ConfigurationError


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="some minutes; the default")
    size.add_argument("--full", action="store_true", help="all scenarios, more rounds and streams")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="NAME", help=_names())
    parser.add_argument(
        "--rounds", type=_count, metavar="N", help="measure each contender so often"
    )
    parser.add_argument("--install", action="store_true", help="install the peers that are missing")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="the folder of their environments"
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PATH",
        help="the Python that has a peer",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FOLDER",
        help="draw the plots as SVG; write the table of goals",
    )
    parser.add_argument(
        "--against",
        metavar="REPORT_OR_COMMIT",
        help="add the figures of another report, or of a commit, to the table of goals",
    )
    parser.add_argument("--load", type=Path, metavar="FILE", help="measure nothing; use a report")
    parser.add_argument("--chain", metavar="MODULE:FUNCTION", help="explain a chain of operators")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _names() -> str:
    return f"scenarios: {', '.join(SCENARIOS)}"


def measure(options: argparse.Namespace, console: Console) -> Report:
    """Run the scenarios; print each table when it is done."""
    names = options.only or [
        name for name, scenario in SCENARIOS.items() if options.full or scenario.in_quick
    ]
    report = Report(this_machine(), our_versions())
    pythons = dict(each.split("=", 1) for each in options.python)
    environments = Environments(options.cache, options.install, pythons)
    with (
        replay_server() as server,
        all_workers(environments, server.certificate) as workers,
    ):
        report.missing = workers.missing
        for name in names:
            if SCENARIOS[name].reference:
                report.references[name] = SCENARIOS[name].reference
            run = Run(
                name,
                quick=not options.full,
                report=report,
                workers=workers,
                server=server,
                rounds=options.rounds,
            )
            begun = time.monotonic()
            try:
                load(SCENARIOS[name].function)(run)
            except Exception as error:
                workers.missing[f"scenario {name}"] = f"{type(error).__name__}: {error}"
            report.seconds[name] = round(time.monotonic() - begun, 1)
            report.loads[name] = round(os.getloadavg()[0], 2)
            report.versions |= workers.versions
            write(report, options)
            show(report, console, [name])
    return report


def write(report: Report, options: argparse.Namespace) -> None:
    """Write the report if a file is named; after each scenario, since a full run takes long."""
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def main() -> None:
    """Measure, print, write and draw."""
    options = parse()
    console = Console(width=None if sys.stdout.isatty() else 140, emoji=False)
    if options.chain:
        from benchmarks.chain import explain

        try:
            explain(options.chain, console)
        except ConfigurationError as error:
            sys.exit(str(error))
        return
    before = None
    if options.against:
        try:
            before = report_before(options)
        except ConfigurationError as error:
            sys.exit(str(error))
    if options.load:
        report = msgspec.json.decode(options.load.read_bytes(), type=Report)
        show(report, console, list(dict.fromkeys(one.scenario for one in report.series)))
    else:
        report = measure(options, console)
    if before is not None:
        compare(report, before)
    show_summary(report, console)
    show_end(report, console)
    write(report, options)
    if options.plot:
        from benchmarks.plots import draw

        for path in draw(report, options.plot):
            console.print(f"drawn: {path}", highlight=False)
        if any(rows(report)):
            (options.plot / "summary.md").write_text(markdown(report))


if __name__ == "__main__":
    main()
