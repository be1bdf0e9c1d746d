"""The command `rxagents top`."""

from __future__ import annotations

import sys

import click
import msgspec
from rich.console import Console

from rxagents.cli.failures import report_message
from rxagents.cli.pieces import printable
from rxagents.cli.signals import StopSignals
from rxagents.cli.views import at_terminal
from rxagents.runtime.inspection import Inspection

_EXAMPLES = """\b
Examples:
  RXAGENTS_INSPECT=1 python app.py    in one terminal, and in another one:
  rxagents top
  rxagents top --once --json | jq '.pipes[].stages'
"""


@click.command(epilog=_EXAMPLES)
@click.argument("pid", type=click.IntRange(1), required=False)
@click.option("--items", is_flag=True, help="Show the start of each last item's text.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Print one table, as where stdout is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one snapshot as a line of JSON.")
@click.pass_obj
def top(
    stop: StopSignals,
    /,
    pid: int | None,
    items: bool,
    interval: float,
    once: bool,
    as_json: bool,
) -> int:
    """Watch the probes of running programs.

    A program can be watched when it was started with RXAGENTS_INSPECT=1 and has ops.probe("name")
    in a stream, or with 'rxagents serve --inspect'. PID chooses one of several.

    Keys: q ends, s changes the order, Tab shows the next process.
    """
    if sys.platform == "win32":
        report_message("rxagents top needs Unix sockets, which Windows lacks.")
        return 1
    return stop.run(_top(pid, interval, items=items, once=once, as_json=as_json))


async def _top(pid: int | None, interval: float, *, items: bool, once: bool, as_json: bool) -> int:
    # Imported here: they need modules that Windows lacks.
    from rxagents.cli.top_client import Link, live_sockets
    from rxagents.cli.top_screen import TopScreen

    found = await live_sockets()
    chosen = [each for each in found if pid is None or each.pid == pid]
    if not chosen:
        report_message(_nobody(pid))
        return 1
    if not (once or as_json) and at_terminal() and sys.stdin.isatty():
        await TopScreen(Console(), pid, interval, items=items).show()
        return 0
    if len(chosen) > 1:
        several = ", ".join(str(each.pid) for each in chosen)
        report_message(f"Several processes can be watched: {several}. Write rxagents top PID.")
        return 2
    async with Link(chosen[0].path, items=items) as link:
        if not await link.ask(interval + 4) or link.newest is None:
            report_message(f"Process {chosen[0].pid} does not answer: its event loop is blocked.")
            return 1
        click.echo(_text(link.newest, as_json=as_json))
    return 0


def _text(snapshot: Inspection, *, as_json: bool) -> str | bytes:
    return msgspec.json.encode(snapshot) if as_json else printable(str(snapshot))


def _nobody(pid: int | None) -> str:
    who = "No process of yours can" if pid is None else f"Process {pid} cannot"
    return (
        f'{who} be watched: start a program that has ops.probe("name") in a stream '
        "with RXAGENTS_INSPECT=1, or use rxagents serve --inspect."
    )
