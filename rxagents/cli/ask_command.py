"""Define `rxagents ask`."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console

from rxagents.cli.asking import answer, place_of
from rxagents.cli.config import read_config
from rxagents.cli.failures import report
from rxagents.cli.log import Log
from rxagents.cli.question import Options
from rxagents.cli.shared_options import question_options
from rxagents.cli.signals import StopSignals
from rxagents.cli.summary import finish_line, summary
from rxagents.cli.views import View, at_terminal, first_code_block, json_lines, text_view
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.operators import Measurement

_EXAMPLES = """\b
Examples:
  rxagents ask -m openai:gpt-5-mini "Why is the sky blue?"
  git diff | rxagents ask "Write a commit message."
  rxagents ask -a photo.png "What is this?"
  rxagents ask -f a.py -f b.py "How do these differ?"
  rxagents ask --schema "name, age int" "Invent a person."
  rxagents ask -c "And shorter?"
  rxagents ask --agent react -T calculator "What is 123 * 456?"
"""


@click.command(epilog=_EXAMPLES)
@click.argument("prompt", nargs=-1)
@question_options
@click.option(
    "--schema",
    metavar="SCHEMA",
    help="Answer with JSON that matches this schema: fields such as 'name, age int', a JSON "
    "schema, or its file.",
)
@click.option("--schema-multi", metavar="SCHEMA", help="The same, for a list of such objects.")
@click.option(
    "-x", "--extract", "extracts", is_flag=True, help="Print only the first fenced block of code."
)
@click.option("--json", "as_json", is_flag=True, help="Print each item as a line of JSON.")
@click.option("--plain", is_flag=True, help="Do not render Markdown at a terminal.")
@click.option(
    "-u/ ",
    "--usage/--no-usage",
    "usage",
    default=None,
    help="Show times and token counts on stderr; by default only at a terminal.",
)
@click.option(
    "-n/ ",
    "--no-log/--log",
    "no_log",
    default=None,
    help="Do not log, or log although it is switched off.",
)
@click.pass_obj
def ask(
    stop: StopSignals,
    /,
    prompt: tuple[str, ...],
    as_json: bool,
    extracts: bool,
    plain: bool,
    usage: bool | None,
    no_log: bool | None,
    goes_on: bool,
    conversation: str | None,
    **options: Any,
) -> int:
    """Stream a model's answer to PROMPT.

    A text that is piped into the command precedes the prompt; - alone reads the prompt from stdin.
    Keys and hosts are read from the provider's environment variables, such as OPENAI_API_KEY.
    """

    async def work() -> Measurement:
        config = read_config()
        logs = Log().is_on if no_log is None else not no_log
        markdown = config.markdown and not plain
        view = _view(as_json=as_json, extracts=extracts, markdown=markdown)
        async with place_of(
            goes_on=goes_on,
            conversation=conversation,
            logs=logs,
            probes=options["agent"] is not None,
        ) as place:
            return await answer(Options(**options), prompt, config, place, view, stop)

    try:
        measured = stop.run(work())
    except RxAgentsError as error:
        return report(error, as_json=as_json)
    if not as_json:
        _report_end(measured, usage=at_terminal() if usage is None else usage)
    return 0


def _view(*, as_json: bool, extracts: bool, markdown: bool) -> View:
    if as_json and extracts:
        raise ConfigurationError("--json and --extract cannot be used together: leave one out.")
    if as_json:
        return json_lines()
    return first_code_block() if extracts else text_view(markdown=markdown)


def _report_end(measured: Measurement, *, usage: bool) -> None:
    """Write the summary, or only an unusual finish reason."""
    console = Console(stderr=True)
    if usage:
        console.print()
        console.print(summary(measured))
    elif line := finish_line(measured):
        sys.stdout.flush()
        console.print(line)
