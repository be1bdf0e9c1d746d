"""The program around the commands: what becomes of errors, signals and unwritten output."""

from __future__ import annotations

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
        _drop_unwritten_output()
        tell_message(str(error))
        return 1
    except SystemExit:
        _drop_unwritten_output()
        raise


def _advice(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return "" if context is None else f" Try '{context.command_path} --help'."


def _replace_what_cannot_be_encoded() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_unwritten_output() -> None:
    """Keep the interpreter from writing, as it ends, what could not be written before."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
