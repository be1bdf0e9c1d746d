"""Define `rxagents logs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
import msgspec
from rich.console import Console

from rxagents.cli.failures import report, report_message
from rxagents.cli.log import Entry, Log, entries, find
from rxagents.cli.pieces import printable
from rxagents.cli.signals import StopSignals
from rxagents.cli.terminal import print_markdown
from rxagents.cli.views import at_terminal
from rxagents.core.errors import RxAgentsError

_SHORT = 60
"""How many characters of a prompt a line of `--short` has."""

_EXAMPLES = """\b
Examples:
  rxagents logs                      the last 3 questions with their answers
  rxagents logs -n 0 --short         all, one a line
  rxagents logs -q "monad" --json
  rxagents logs -c -r                only the last answer
"""


@click.group(invoke_without_command=True, epilog=_EXAMPLES)
@click.option(
    "-n",
    "--count",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="How many; 0 for all.",
)
@click.option("-q", "--query", default="", metavar="TEXT", help="Only those with this text.")
@click.option(
    "-m", "--model", default="", metavar="MODEL", help="Only those of this model or alias."
)
@click.option("-c", "--current", is_flag=True, help="Only the last conversation.")
@click.option("--cid", "conversation", metavar="ID", help="Only the conversation with this id.")
@click.option("-s", "--short", is_flag=True, help="One line each: time, id, model and prompt.")
@click.option("-r", "--response", is_flag=True, help="Only the last answer.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON each.")
@click.pass_context
def logs(
    context: click.Context,
    /,
    count: int,
    query: str,
    model: str,
    current: bool,
    conversation: str | None,
    short: bool,
    response: bool,
    as_json: bool,
) -> int:
    """Show what was asked and answered.

    'rxagents ask' and 'rxagents chat' log by default. 'rxagents logs off' switches that off, and
    --no-log leaves one question out.
    """
    if context.invoked_subcommand is not None:
        return 0
    stop: StopSignals = context.obj

    async def read() -> list[Entry]:
        if not Log().path.exists():
            return []
        async with Log().store() as store:
            key = conversation
            if current or conversation:
                key, _ = await find(store, conversation)
            return await entries(
                store, 1 if response else count, query=query, model=model, conversation=key or ""
            )

    try:
        found = stop.run(read())
    except RxAgentsError as error:
        return report(error, as_json=as_json)
    if response and not found:
        report_message("Nothing was found.")
        return 1
    _shown(as_json=as_json, short=short, response=response)(found)
    return 0


@logs.command()
def path() -> int:
    """Print the path of the log."""
    click.echo(Log().path)
    return 0


@logs.command()
def status() -> int:
    """Print whether the log is on, its path and its size."""
    log = Log()
    size = log.path.stat().st_size if log.path.exists() else 0
    click.echo(f"The log is {'on' if log.is_on else 'off'}.\n{log.path}\n{size:,} bytes")
    return 0


@logs.command()
def on() -> int:
    """Log from now on."""
    Log().switch(on=True)
    return 0


@logs.command()
def off() -> int:
    """Log nothing from now on; what is logged stays."""
    Log().switch(on=False)
    return 0


@logs.command()
@click.argument("conversation", metavar="ID")
@click.pass_obj
def forget(stop: StopSignals, /, conversation: str) -> int:
    """Delete a conversation from the log."""

    async def delete() -> None:
        async with Log().store() as store:
            key, _ = await find(store, conversation)
            await store.forget(key)

    try:
        stop.run(delete())
    except RxAgentsError as error:
        return report(error)
    return 0


def _shown(*, as_json: bool, short: bool, response: bool) -> Callable[[Sequence[Entry]], None]:
    if as_json:
        return _as_json
    if response:
        return _responses
    return _short if short else _long


def _as_json(found: Sequence[Entry]) -> None:
    for entry in found:
        click.echo(msgspec.json.encode(entry))


def _responses(found: Sequence[Entry]) -> None:
    for entry in found:
        click.echo(printable(entry.response))


def _short(found: Sequence[Entry]) -> None:
    for entry in found:
        prompt = " ".join(printable(entry.prompt).split())
        cut = prompt if len(prompt) <= _SHORT else prompt[: _SHORT - 1] + "…"
        model = printable(entry.model) or "-"
        click.echo(f"{entry.time[:16]}  {entry.conversation}  {model}  {cut}")


def _long(found: Sequence[Entry]) -> None:
    console = Console()
    for entry in found:
        model = printable(entry.model) or "an agent"
        console.rule(f"{entry.time[:16]} · {entry.conversation} · {model}", align="left")
        for label, text in (("system", entry.system), ("prompt", entry.prompt)):
            if text:
                click.echo(f"{label}: {printable(text)}\n")
        if entry.tools:
            click.echo(f"tools: {', '.join(entry.tools)}\n")
        click.echo("answer:")
        if at_terminal():
            print_markdown(console, printable(entry.response))
        else:
            click.echo(printable(entry.response))
        click.echo()
