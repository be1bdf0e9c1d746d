"""Show a stream: drawn in a terminal, as plain text, or as lines of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import click
import msgspec
from rich.console import Console

from rxagents.cli.pieces import Item, Kind, Sections
from rxagents.cli.terminal import drawn
from rxagents.core.errors import RxAgentsError

View: TypeAlias = AbstractContextManager[Callable[[Item], None]]
"""A context manager for one stream; it yields the function that shows an item."""


def text_view() -> View:
    """Return the view for people: drawn if stdout is a terminal, else plain."""
    console = Console()
    at_terminal = console.file.isatty() and console.is_interactive
    return drawn(console) if at_terminal else plain()


@contextmanager
def plain() -> Iterator[Callable[[Item], None]]:
    """Write the answer to stdout as it arrives, and the steps that lead to it to stderr."""
    sections = Sections()
    kind, text = Kind.TEXT, "\n"

    def show(item: Item) -> None:
        nonlocal kind, text
        for kind, text in sections.pieces(item):
            click.echo(text, nl=False, err=kind.is_aside)

    def end_line() -> None:
        if not text.endswith("\n"):
            click.echo(err=kind.is_aside)

    try:
        yield show
    except RxAgentsError:
        end_line()
        raise
    end_line()


@contextmanager
def json_lines() -> Iterator[Callable[[Item], None]]:
    """Write each item to stdout as a line of JSON."""
    encoder = msgspec.json.Encoder()

    def show(item: Item) -> None:
        click.echo(encoder.encode(item))

    yield show
