"""The ways to show a stream: drawn in a terminal, as plain text, as lines of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import click
import msgspec
from rich.console import Console

from rxagents.cli.pieces import Kind, Sections
from rxagents.cli.terminal import drawn
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import RxAgentsError

View: TypeAlias = AbstractContextManager[Callable[[StreamChunk], None]]
"""Opened for one stream; shows each chunk it is called with."""


def text_view() -> View:
    """Return the view for people: drawn where stdout is a terminal, else plain."""
    console = Console()
    at_terminal = console.file.isatty() and console.is_interactive
    return drawn(console) if at_terminal else plain()


@contextmanager
def plain() -> Iterator[Callable[[StreamChunk], None]]:
    """Write the answer to stdout as it comes, and reasoning to stderr."""
    sections = Sections()
    kind, text = Kind.TEXT, "\n"

    def show(chunk: StreamChunk) -> None:
        nonlocal kind, text
        for kind, text in sections.pieces(chunk):
            click.echo(text, nl=False, err=kind is Kind.REASONING)

    def end_line() -> None:
        if not text.endswith("\n"):
            click.echo(err=kind is Kind.REASONING)

    try:
        yield show
    except RxAgentsError:
        end_line()
        raise
    end_line()


@contextmanager
def json_lines() -> Iterator[Callable[[StreamChunk], None]]:
    """Write each chunk to stdout as a line of JSON."""
    encoder = msgspec.json.Encoder()

    def show(chunk: StreamChunk) -> None:
        click.echo(encoder.encode(chunk))

    yield show
