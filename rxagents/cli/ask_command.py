"""Define `rxagents ask`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console

from rxagents.cli.asking import Operator, answer, place_of
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


F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("prompt", nargs=-1),
    question_options,
    click.option(
        "--schema",
        metavar="SCHEMA",
        help="Answer with JSON that matches this schema: fields such as 'name, age int', a JSON "
        "schema, or its file.",
    ),
    click.option("--schema-multi", metavar="SCHEMA", help="The same, for a list of such objects."),
    click.option(
        "-x",
        "--extract",
        "extracts",
        is_flag=True,
        help="Print only the first fenced block of code.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print each item as a line of JSON."),
    click.option("--plain", is_flag=True, help="Do not render Markdown at a terminal."),
    click.option(
        "-u/ ",
        "--usage/--no-usage",
        "usage",
        default=None,
        help="Show times and token counts on stderr; by default only at a terminal.",
    ),
    click.option(
        "-n/ ",
        "--no-log/--log",
        "no_log",
        default=None,
        help="Do not log, or log although it is switched off.",
    ),
)


def ask_options(function: F) -> F:
    """Add the options of `rxagents ask` to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(epilog=_EXAMPLES)
@ask_options
@click.pass_obj
def ask(stop: StopSignals, /, **options: Any) -> int:
    """Stream a model's answer to PROMPT.

    A text that is piped into the command precedes the prompt; - alone reads the prompt from stdin.
    Keys and hosts are read from the provider's environment variables, such as OPENAI_API_KEY.
    """
    return ask_once(stop, **options)


def ask_once(
    stop: StopSignals,
    operator: Operator | None = None,
    /,
    *,
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
    """Ask, and show the answer.

    Args:
        stop: The handler of stop signals.
        operator: Applied to the stream before it is shown.
        prompt: The words of the prompt.
        as_json: Whether to print items as JSON.
        extracts: Whether to print only the first fenced block of code.
        plain: Whether to leave Markdown as it is.
        usage: Whether to show times and token counts; `None` for only at a terminal.
        no_log: Whether to leave the log alone; `None` for what `rxagents logs` says.
        goes_on: Whether the last conversation is continued.
        conversation: The id of the conversation to continue.
        **options: The fields of `Options`.

    Returns:
        The exit status.
    """

    async def work() -> Measurement:
        config = read_config()
        logs = Log().is_on if no_log is None else not no_log
        markdown = config.markdown and not plain
        view = view_of(as_json=as_json, extracts=extracts, markdown=markdown)
        async with place_of(
            goes_on=goes_on,
            conversation=conversation,
            logs=logs,
            probes=options["agent"] is not None,
        ) as place:
            return await answer(Options(**options), prompt, config, place, view, stop, operator)

    try:
        measured = stop.run(work())
    except RxAgentsError as error:
        return report(error, as_json=as_json)
    if not as_json:
        report_end(measured, usage=at_terminal() if usage is None else usage)
    return 0


def view_of(*, as_json: bool, extracts: bool = False, markdown: bool) -> View:
    """Return the view that the options of a command choose.

    Raises:
        ConfigurationError: They exclude each other.
    """
    if as_json and extracts:
        raise ConfigurationError("--json and --extract cannot be used together: leave one out.")
    if as_json:
        return json_lines()
    return first_code_block() if extracts else text_view(markdown=markdown)


def report_end(measured: Measurement, *, usage: bool) -> None:
    """Write the summary, or only an unusual finish reason."""
    console = Console(stderr=True)
    if usage:
        console.print()
        console.print(summary(measured))
    elif line := finish_line(measured):
        sys.stdout.flush()
        console.print(line)
