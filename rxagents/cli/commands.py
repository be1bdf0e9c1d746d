"""Define the commands and their options."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from rxagents._version import __version__
from rxagents.cli.asking import AGENTS, TOOLS, Question, show_answer
from rxagents.cli.demo import TASK, show_demo
from rxagents.cli.failures import report
from rxagents.cli.listing import names_of
from rxagents.cli.pieces import printable
from rxagents.cli.signals import StopSignals
from rxagents.cli.summary import summary
from rxagents.cli.views import json_lines, text_view
from rxagents.core.errors import RxAgentsError
from rxagents.operators import Measurement
from rxagents.providers.registry import PROVIDERS


@click.group(invoke_without_command=True)
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
    """Show an agent that thinks and calculates, over local HTTP; no key, no network."""
    Console(stderr=True).print(f"Task: {TASK}\n", style="bold")
    _print_summary(stop.run(show_demo(text_view(), stop)))
    return 0


@cli.command()
@click.argument("prompt")
@click.option(
    "--model",
    envvar="RXAGENTS_MODEL",
    show_envvar=True,
    metavar="PROVIDER:MODEL",
    help="The model, such as openai:gpt-5-mini; scripted: needs no key.",
)
@click.option("--base-url", metavar="URL", help="Another host with the same API.")
@click.option("--system", metavar="TEXT", help="The system prompt.")
@click.option("--max-tokens", type=int, metavar="N", help="Limit on the tokens of the answer.")
@click.option("--temperature", type=float, metavar="X", help="The temperature, 0 or more.")
@click.option("--agent", type=click.Choice(AGENTS), help="Run an agent, which can use tools.")
@click.option(
    "--tool",
    "tools",
    type=click.Choice(TOOLS),
    multiple=True,
    help="A tool for the agent; repeat it for more tools.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each item as a line of JSON.")
@click.pass_obj
def ask(stop: StopSignals, /, as_json: bool, **options: Any) -> int:
    """Stream a model's answer to PROMPT (- reads it from stdin).

    Keys and hosts are read from the provider's environment variables, such as OPENAI_API_KEY.
    """
    question = Question(**options)
    view = json_lines() if as_json else text_view()
    try:
        measured = stop.run(show_answer(question, question.messages(), view, stop))
    except RxAgentsError as error:
        return report(error, as_json=as_json)
    if not as_json:
        _print_summary(measured)
    return 0


@cli.command()
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    required=True,
    help="The provider whose models to list.",
)
@click.option("--base-url", metavar="URL", help="Another host with the same API.")
@click.pass_obj
def models(stop: StopSignals, /, provider: str, base_url: str | None) -> int:
    """List the models of a provider, one a line."""
    try:
        names = stop.run(names_of(provider, base_url))
    except RxAgentsError as error:
        return report(error)
    for name in names:
        click.echo(printable(name))
    return 0


def _print_summary(measured: Measurement) -> None:
    console = Console(stderr=True)
    console.print()
    console.print(summary(measured))
