"""Define the options that `rxagents ask` and `rxagents chat` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from rxagents.cli.config import Config, read_config
from rxagents.cli.loading import AGENTS, TOOLS
from rxagents.core.errors import RxAgentsError
from rxagents.providers.registry import PROVIDERS

F = TypeVar("F", bound=Callable[..., Any])


def _config() -> Config:
    try:
        return read_config()
    except RxAgentsError:
        return Config()  # a completion cannot report an error


def _complete_model(*_: object) -> list[CompletionItem]:
    incomplete = str(_[-1])
    names = [*_config().aliases, *(f"{prefix}:" for prefix in (*PROVIDERS, "scripted"))]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_template(*_: object) -> list[CompletionItem]:
    incomplete = str(_[-1])
    return [CompletionItem(name) for name in _config().templates if name.startswith(incomplete)]


_OPTIONS = (
    click.option(
        "-m",
        "--model",
        metavar="MODEL",
        shell_complete=_complete_model,
        help="The model, such as openai:gpt-5-mini, or an alias; scripted: needs no key. "
        "Without it the variable RXAGENTS_MODEL, then the configuration file.",
    ),
    click.option("--base-url", metavar="URL", help="Another host with the same API."),
    click.option("-s", "--system", metavar="TEXT", help="The system prompt."),
    click.option(
        "-t",
        "--template",
        metavar="NAME",
        shell_complete=_complete_template,
        help="A template of the configuration file.",
    ),
    click.option(
        "-p",
        "--param",
        "params",
        metavar="NAME=VALUE",
        multiple=True,
        help="A value for a place of the template; repeat it for more.",
    ),
    click.option(
        "-o",
        "--option",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        help="A setting of the request, such as top_p=0.9; repeat it for more.",
    ),
    click.option("--max-tokens", type=int, metavar="N", help="Limit on the tokens of the answer."),
    click.option("--temperature", type=float, metavar="X", help="The temperature, 0 or more."),
    click.option(
        "-a",
        "--attach",
        "attachments",
        metavar="PATH",
        multiple=True,
        help="An image or a document, or the URL of an image; - reads stdin.",
    ),
    click.option(
        "-f",
        "--file",
        "files",
        metavar="PATH",
        multiple=True,
        help="A text file to put before the prompt; - reads stdin.",
    ),
    click.option(
        "--agent",
        metavar="AGENT",
        help=f"Run an agent, which can use tools: {', '.join(AGENTS)}, or MODULE:NAME of your own.",
    ),
    click.option(
        "-T",
        "--tool",
        "tools",
        metavar="TOOL",
        multiple=True,
        help=f"A tool for the agent: {', '.join(TOOLS)}, or MODULE:NAME; repeat it for more.",
    ),
    click.option(
        "-c", "--continue", "goes_on", is_flag=True, help="Continue the last conversation."
    ),
    click.option(
        "--cid", "conversation", metavar="ID", help="Continue the conversation with this id."
    ),
)


def question_options(function: F) -> F:
    """Add the options of a question to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
