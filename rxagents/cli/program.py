"""Run the commands; turn errors and signals into exit statuses."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import click

from rxagents.cli.commands import cli
from rxagents.cli.failures import report, report_message
from rxagents.cli.signals import StopSignals
from rxagents.core.errors import RxAgentsError


def run() -> int:
    """Run the command line.

    Returns:
        0 for success, 2 for wrong use and `ConfigurationError`, 1 for other errors.

    Raises:
        SystemExit: A signal arrived, or the reader of the output closed the pipe.
    """
    stop = StopSignals()
    stop.install()
    _replace_unencodable_text()
    try:
        return int(cli.main(prog_name="rxagents", obj=stop, standalone_mode=False))
    except click.ClickException as error:
        report_message(error.format_message() + _advice(error))
        return error.exit_code
    except RxAgentsError as error:
        return report(error)
    except OSError as error:
        report_message(str(error))
        _drop_output()
        return 1


def _advice(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return "" if context is None else f" Try '{context.command_path} --help'."


def _drop_output() -> None:
    """Discard the buffer of stdout: the interpreter would try to write it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replace_unencodable_text() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
