"""How the program tells that something failed."""

from __future__ import annotations

import click
import msgspec

from rxagents.cli.pieces import printable
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.core.events import ErrorInfo


def tell(error: RxAgentsError, *, as_json: bool = False) -> int:
    """Write one line about `error`: to stderr, or as JSON to stdout.

    Returns:
        The exit status.
    """
    if as_json:
        click.echo(msgspec.json.encode({"error": ErrorInfo.of(error)}))
    else:
        tell_message(str(error))
    return 2 if isinstance(error, ConfigurationError) else 1


def tell_message(message: str) -> None:
    """Write a message to stderr, in one line."""
    click.echo("Error: " + " ".join(printable(message).split()), err=True)
