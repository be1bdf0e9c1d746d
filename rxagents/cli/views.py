"""Show a stream: drawn in a terminal, as plain text, or as lines of JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import click
import msgspec
from rich.console import Console

from rxagents.cli.pieces import Item, Kind, Sections
from rxagents.cli.terminal import drawn
from rxagents.core.errors import ConfigurationError, RxAgentsError

View: TypeAlias = AbstractContextManager[Callable[[Item], None]]
"""A context manager for one stream; it yields the function that shows an item."""

_CODE = re.compile(
    r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL
)


def at_terminal() -> bool:
    """Return whether stdout is a terminal in which rows can be drawn again."""
    console = Console()
    return console.file.isatty() and console.is_interactive


def text_view(*, markdown: bool = True) -> View:
    """Return the view for people: drawn if stdout is a terminal, else plain.

    Args:
        markdown: Whether Markdown is rendered in a terminal.
    """
    return drawn(Console(), markdown=markdown) if at_terminal() else plain()


@contextmanager
def plain() -> Iterator[Callable[[Item], None]]:
    """Write the answer to stdout as it arrives, and the steps that lead to it to stderr."""
    sections = Sections()
    kind, text = Kind.TEXT, "\n"

    def show(item: Item) -> None:
        nonlocal kind, text
        for kind, text, label in sections.pieces(item):
            prefix = f"{label}: " if label and kind.is_aside else ""
            click.echo(prefix + text, nl=False, err=kind.is_aside)

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


@contextmanager
def first_code_block() -> Iterator[Callable[[Item], None]]:
    """Write only the first fenced block of code of the answer, when the answer is complete."""
    sections = Sections()
    texts: list[str] = []

    def show(item: Item) -> None:
        texts.extend(text for kind, text, _ in sections.pieces(item) if kind is Kind.TEXT)

    yield show
    found = _CODE.search("".join(texts))
    if found is None:
        raise ConfigurationError(
            "The answer has no fenced block of code: ask without --extract to see it."
        )
    click.echo(found[2], nl=False)
