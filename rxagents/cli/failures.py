"""Report failures to the user."""

from __future__ import annotations

import click
import msgspec

from rxagents.cli.pieces import printable
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.core.events import ErrorInfo


def report(error: RxAgentsError, *, as_json: bool = False) -> int:
    """Report `error` in one line: on stderr, or as JSON on stdout.

    Returns:
        The exit status.
    """
    if as_json:
        click.echo(msgspec.json.encode({"error": ErrorInfo.of(error)}))
    else:
        report_message(str(error))
    return 2 if isinstance(error, ConfigurationError) else 1


def report_message(message: str) -> None:
    """Write an error message to stderr, in one line."""
    click.echo("Error: " + " ".join(printable(message).split()), err=True)
