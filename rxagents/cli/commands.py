"""Define the commands."""

from __future__ import annotations

import click
from rich.console import Console

from rxagents._version import __version__
from rxagents.cli.ask_command import ask
from rxagents.cli.batch_command import batch
from rxagents.cli.chat_command import chat
from rxagents.cli.config_command import config
from rxagents.cli.demo import show_demo
from rxagents.cli.failures import report, report_message, text_of
from rxagents.cli.listing import names_of, names_of_all
from rxagents.cli.logs_command import logs
from rxagents.cli.mcp_command import mcp
from rxagents.cli.pieces import printable
from rxagents.cli.record_commands import marbles, record, replay
from rxagents.cli.serve_command import serve
from rxagents.cli.signals import StopSignals
from rxagents.cli.top_command import top
from rxagents.cli.views import text_view
from rxagents.core.errors import RxAgentsError
from rxagents.providers.registry import PROVIDERS

_EXAMPLES = """\b
Examples:
  rxagents demo
  rxagents ask -m openai:gpt-5-mini "Why is the sky blue?"
  git diff | rxagents ask "Write a commit message."
  rxagents chat -m openai:gpt-5-mini -T calculator
  rxagents COMMAND --help has more.
"""


@click.group(invoke_without_command=True, epilog=_EXAMPLES)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> int:
    """Stream the answers of language models."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return 0


@cli.command()
@click.pass_obj
def demo(stop: StopSignals) -> int:
    """Show an agent, a stream that is stopped, and two models in one pipe.

    It talks to servers on this machine, over real HTTP, and needs no key and no network.
    """
    stop.run(show_demo(Console(stderr=True), text_view, stop))
    return 0


@cli.command()
@click.option("--provider", type=click.Choice(PROVIDERS), help="Only the models of this provider.")
@click.option("--base-url", metavar="URL", help="Another host with the same API.")
@click.option("-q", "--query", default="", metavar="TEXT", help="Only those with this text.")
@click.pass_obj
def models(stop: StopSignals, /, provider: str | None, base_url: str | None, query: str) -> int:
    """List models, one a line, as --model takes them.

    Without --provider: of all providers whose key is set, and of Ollama on this machine.
    """
    if base_url is not None and provider is None:
        raise click.UsageError("--base-url needs --provider.")
    failures: list[RxAgentsError] = []
    try:
        if provider is None:
            names, failures = stop.run(names_of_all())
        else:
            names = stop.run(names_of(provider, base_url))
    except RxAgentsError as error:
        return report(error)
    for name in names:
        if query.casefold() in name.casefold():
            click.echo(printable(name))
    for failure in failures:
        report_message(text_of(failure), "Warning")
    return 0


for command in (ask, batch, chat, config, logs, marbles, mcp, record, replay, serve, top):
    cli.add_command(command)
