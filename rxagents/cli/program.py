"""The program around the commands: what becomes of errors and signals."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import click

from rxagents.cli.commands import cli
from rxagents.cli.failures import tell, tell_message
from rxagents.cli.signals import StopSignals
from rxagents.core.errors import RxAgentsError


def run() -> int:
    """Run the command line.

    Returns:
        0 if all went well, 2 for wrong use and `ConfigurationError`, 1 for other errors.

    Raises:
        SystemExit: A signal came, or the reader of the output has left.
    """
    stop = StopSignals()
    stop.install()
    _replace_what_cannot_be_encoded()
    try:
        return int(cli.main(prog_name="rxagents", obj=stop, standalone_mode=False))
    except click.ClickException as error:
        tell_message(error.format_message() + _advice(error))
        return error.exit_code
    except RxAgentsError as error:
        return tell(error)
    except OSError as error:
        tell_message(str(error))
        _drop_output()
        return 1


def _advice(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return "" if context is None else f" Try '{context.command_path} --help'."


def _drop_output() -> None:
    """Let what stdout still holds go nowhere: the interpreter would try to write it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replace_what_cannot_be_encoded() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
