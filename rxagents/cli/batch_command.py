"""The command `rxagents batch`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from rxagents.cli.failures import report, report_message
from rxagents.cli.loading import load_served
from rxagents.cli.log_stores import store_of
from rxagents.cli.signals import StopSignals
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_store import Retention

if TYPE_CHECKING:
    from rxagents.cli.batch.progress import BatchProgress

_EXAMPLES = """\b
Examples:
  rxagents batch prompts.jsonl --agent my_agents:agent --to answers.jsonl
  rxagents batch prompts.csv --agent my_agents:make_agent --to answers.parquet --engine processes
  rxagents batch prompts.jsonl --agent my_agents:agent --to answers.jsonl --retry-failed
"""


@click.command(epilog=_EXAMPLES)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option(
    "--agent", required=True, metavar="MODULE:NAME", help="The agent, or a function returning it."
)
@click.option(
    "--to",
    "output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file for the results: .jsonl, .csv or .parquet.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="How many runs run at a time.",
)
@click.option(
    "--engine",
    default="loop",
    show_default=True,
    metavar="ENGINE",
    help="loop, processes (all cores), processes:N, ray, or ray:ADDRESS.",
)
@click.option(
    "--actors",
    type=click.IntRange(1),
    help="How many processes run on Ray; more than its cores wait. [default: 2]",
)
@click.option("--retry-failed", is_flag=True, help="Run the rows again that have failed.")
@click.option("--column", default="prompt", show_default=True, help="The column of the prompts.")
@click.option("--key", help="The column of the keys. [default: key, or else the row's position]")
@click.option(
    "--log", metavar="FILE|URL", help="Keep runs too, so that a killed one goes on where it was."
)
@click.pass_obj
def batch(
    stop: StopSignals,
    /,
    file: Path,
    agent: str,
    output: Path,
    concurrency: int,
    engine: str,
    actors: int | None,
    retry_failed: bool,
    column: str,
    key: str | None,
    log: str | None,
) -> int:
    """Run an agent for each row of FILE, and write the results to another file.

    FILE has JSON lines, CSV or Parquet. The same command goes on after Ctrl-C or a crash: rows
    that have a result are not run again. The status is 1 if rows have failed.
    """
    # Imported here: only this command needs them.
    from rxagents.cli.batch.progress import BatchProgress
    from rxagents.cli.batch.results import Results
    from rxagents.cli.batch.rows import Rows
    from rxagents.cli.batch.run import Batch, engine_of

    console = Console(stderr=True)
    try:
        if not file.is_file():
            raise click.UsageError(
                f"{file} is no file on a disk, and a batch reads its rows more than once. Save "
                "them to a file first."
            )
        load_served(agent)
        chosen, rows = engine_of(engine, actors), Rows(file, column, key)
        if output.exists() and not output.is_file():
            raise click.UsageError(f"--to must be a file on a disk, and {output} is none.")
        if output.exists() and output.samefile(file):
            raise click.UsageError("--to must be another file than the input.")
        keys = rows.keys()
        total = len(keys)
        with Results(output, retry_failed=retry_failed) as results:
            before = [results.done[key] for key in keys & results.done.keys()]
            del keys
            _report_results_before(output, len(before), total, len(results.done))
            progress = BatchProgress(console, total, len(before), sum(before))

            async def run() -> None:
                kept = None if log is None else EventLog(store_of(log, _WHOLE))
                try:
                    work = Batch(
                        agent,
                        rows,
                        results,
                        progress,
                        kept,
                        retry_failed=retry_failed,
                        prefix="" if kept is None else _prefix_of(output),
                    )
                    await work.run(concurrency, chosen)
                finally:
                    if kept is not None:
                        await kept.aclose()

            try:
                with progress:
                    stop.run(run())
            except ConfigurationError:
                raise  # the same command would fail again
            except BaseException:
                _report_end(console, progress, output)
                raise
            _report_end(console, progress, output)
            return 1 if progress.failed else 0
    except RxAgentsError as error:
        return report(error)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        report_message(f"{place}{str(error.strerror or error).rstrip('.')}.")
        return 1


def _report_end(console: Console, progress: BatchProgress, output: Path) -> None:
    console.print(progress.summary(), highlight=False, soft_wrap=True)
    if progress.failed:
        report_message(
            f"the column error of {output} says why rows have failed. To run them again, add "
            "--retry-failed.",
            "Note",
        )
    if progress.left:
        report_message(
            f"run the same command again for the other {progress.left:,} rows", "Stopped"
        )


def _report_results_before(output: Path, before: int, total: int, results: int) -> None:
    """Say which rows are not run: the results may be of another agent or of another input."""
    if before:
        report_message(f"{before:,} of {total:,} rows have a result in {output} already.", "Note")
    if results > before:
        others = f"{results - before:,} results of rows that are not in the input"
        report_message(f"{output} also has {others}.", "Note")


_WHOLE = Retention(entries=None, bytes=None, age=None, runs=None)


def _prefix_of(output: Path) -> str:
    """Return what a batch is called in a log: the same for each start with the same output."""
    return f"batch-{hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16]}:"
