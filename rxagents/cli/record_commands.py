"""The commands `rxagents record`, `rxagents replay` and `rxagents marbles`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
import msgspec

from rxagents.cli.ask_command import ask_once, ask_options, report_end, view_of
from rxagents.cli.config import read_config
from rxagents.cli.failures import report
from rxagents.cli.pieces import printable
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import at_terminal
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.operators import Measurement
from rxagents.operators.record import record as record_to
from rxagents.pictures.picture import DEFAULT_WIDTH, draw_run, item_type
from rxagents.runtime.from_recording import from_recording
from rxagents.runtime.recording import RecordedLine

_RECORD_EXAMPLES = """\b
Examples:
  rxagents record --to run.jsonl -m openai:gpt-5-mini "Why is the sky blue?"
  rxagents record --to run.jsonl --agent myagents:helper "Find the cheapest desk."
  rxagents marbles run.jsonl
"""

_REPLAY_EXAMPLES = """\b
Examples:
  rxagents replay run.jsonl
  rxagents replay run.jsonl --speed 4
  rxagents replay run.jsonl --speed inf --json
"""

_MARBLES_EXAMPLES = """\b
Examples:
  rxagents marbles run.jsonl
  rxagents marbles run.jsonl --to run.svg
"""


@click.command(epilog=_RECORD_EXAMPLES)
@click.option(
    "--to",
    required=True,
    metavar="FILE",
    help="The file to write, a line of JSON for each item. A file of that name is overwritten.",
)
@ask_options
@click.pass_obj
def record(stop: StopSignals, /, to: str, **options: Any) -> int:
    """Ask as `rxagents ask` does, and record the stream.

    The file keeps each item with its time, and how the stream ended, also with Ctrl-C.
    """
    return ask_once(stop, record_to(to), **options)


@click.command(epilog=_REPLAY_EXAMPLES)
@click.argument("file")
@click.option(
    "--speed",
    type=float,
    default=1.0,
    show_default=True,
    metavar="N",
    help="How many times faster to play; inf does not wait.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each item as a line of JSON.")
@click.option("--plain", is_flag=True, help="Do not render Markdown at a terminal.")
@click.pass_obj
def replay(stop: StopSignals, /, file: str, speed: float, as_json: bool, plain: bool) -> int:
    """Play a recorded stream again, at the pace of the recording.

    It is shown as `rxagents ask` showed it. A stream that failed, or was stopped, ends with an
    error here too.
    """

    async def work() -> Measurement:
        markdown = read_config().markdown and not plain
        view = view_of(as_json=as_json, markdown=markdown)
        stream = from_recording(file, _type_of_items(file), speed=speed)
        return await show(stream, view, stop)

    try:
        measured = stop.run(work())
    except RxAgentsError as error:
        return report(error, as_json=as_json)
    if not as_json:
        report_end(measured, usage=at_terminal() and speed == 1)
    return 0


def _type_of_items(file: str) -> Any:
    """Return the type of a recording's items, which its first line shows.

    Raises:
        ConfigurationError: The file cannot be read, or has neither events nor chunks.
    """
    try:
        with Path(file).open("rb") as lines:
            first = lines.readline()
        line = msgspec.json.decode(first, type=RecordedLine[Any]) if first else None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The recording {file} cannot be read: {error}.") from error
    if line is None or line.item is msgspec.UNSET:
        return object
    found = item_type(line.item)
    if found is object:
        raise ConfigurationError(
            f"The recording {file} has no events or chunks, which replay can show. Play it with "
            "rxagents.from_recording, or draw it with rxagents marbles."
        )
    return found


@click.command(epilog=_MARBLES_EXAMPLES)
@click.argument("file")
@click.option("--to", metavar="FILE.svg", help="Write SVG to this file; - writes it to stdout.")
@click.option(
    "--width", type=int, metavar="N", help=f"The width of the SVG in pixels. [{DEFAULT_WIDTH}]"
)
@click.option("--title", default="", metavar="TEXT", help="The title; else the file's name.")
@click.pass_obj
def marbles(_: StopSignals, /, file: str, to: str | None, width: int | None, title: str) -> int:
    """Draw a recorded stream on a time axis: as text, or with --to as SVG.

    Tokens, thoughts, each tool, approvals and sub-agents have a line each. Resets, gaps and the end
    are marked.
    """
    try:
        if to is not None and to != "-" and Path(to).suffix.lower() != ".svg":
            raise ConfigurationError(
                f"--to {to}: the picture is SVG; name a file that ends in .svg."
            )
        picture = draw_run(file, width=DEFAULT_WIDTH if width is None else width, title=title)
        if to is None:
            click.echo(printable(picture.text(shutil.get_terminal_size().columns)))
        elif to == "-":
            click.echo(picture.svg, nl=False)
        else:
            _write(to, picture.svg)
    except RxAgentsError as error:
        return report(error)
    return 0


def _write(file: str, svg: str) -> None:
    try:
        Path(file).write_text(svg, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--to {file} cannot be written: {error}.") from error
