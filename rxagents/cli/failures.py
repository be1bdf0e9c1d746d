"""Report failures to the user."""

from __future__ import annotations

import re

import click
import msgspec

from rxagents.cli.pieces import printable
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.core.events import ErrorInfo

_IN_OPTIONS = (
    (r", or pass api_key\b", ""),
    (r"\bpass its base_url\b", "pass its URL with --base-url"),
    (r"\bwith its base_url\b", "with --base-url"),
    (r"\bbase_url\b", "--base-url"),
    (r"\bcors must\b", "--cors must"),
    (r"\btoken must\b", "--token must"),
    (r"\burl must be the URL of a Redis server\b", "--log must be a file, or a Redis server's URL"),
    (r"\bmax_tokens must\b", "--max-tokens must"),
    (r"\btemperature must\b", "--temperature must"),
    (
        r"^(top_p|stop|seed|tool_choice|parallel_tool_calls|extra_body|timeout|max_retries"
        r"|structured_output) must\b",
        r"--option \1 must",
    ),
)
"""The library's names of arguments, and the options that a user of the command line knows."""

_IN_ADVICE = re.compile(r"\b((?:Check|Check that|Check the model's name and) )base_url\b")
"""The sentences about an argument in other errors, which may also quote a server."""


def report(error: RxAgentsError, *, as_json: bool = False) -> int:
    """Report `error` in one line: on stderr, or as JSON on stdout.

    Returns:
        The exit status.
    """
    wrong_use = isinstance(error, ConfigurationError)
    if as_json:
        click.echo(msgspec.json.encode({"error": ErrorInfo.of(error)}))
    else:
        report_message(text_of(error))
    return 2 if wrong_use else 1


def report_message(message: str, kind: str = "Error") -> None:
    """Write an error message or a warning to stderr, in one line."""
    click.echo(f"{kind}: " + " ".join(printable(message).split()), err=True)


def text_of(error: Exception) -> str:
    """Return the message of an error, with the names of options in place of arguments."""
    if isinstance(error, ConfigurationError):
        return in_options(str(error))
    return _IN_ADVICE.sub(r"\1--base-url", str(error))


def in_options(message: str) -> str:
    """Return a message of the library with the names of options in place of arguments."""
    for argument, option in _IN_OPTIONS:
        message = re.sub(rf"(?<!-){argument}", option, message)
    return message
