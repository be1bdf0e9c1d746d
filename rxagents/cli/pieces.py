"""What of a chunk is for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from rxagents.core.chunks import StreamChunk

_HIDDEN = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n"), ord("\t")})
"""Control characters: in a terminal they could do more than show text."""


class Kind(StrEnum):
    """The kinds of output."""

    REASONING = "reasoning"
    TEXT = "text"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"


class Piece(NamedTuple):
    """A piece of output.

    Attributes:
        kind: What it is.
        text: Text without control characters other than line ends and tabs.
    """

    kind: Kind
    text: str


class Sections:
    """Cuts chunks into pieces, with a blank line where the kind of output changes."""

    def __init__(self) -> None:
        self._open: tuple[Kind, int] | None = None

    def pieces(self, chunk: StreamChunk) -> Iterator[Piece]:
        """Yield the pieces of `chunk`; those of a stream, joined, are what to show."""
        for kind, number, text in _parts(chunk):
            shown = printable(text)
            if not shown:
                continue
            if self._open is not None and self._open != (kind, number):
                yield Piece(self._open[0], "\n\n")
            self._open = kind, number
            yield Piece(kind, shown)


def printable(text: str) -> str:
    """Return `text` without control characters other than line ends and tabs."""
    return text.translate(_HIDDEN)


def _parts(chunk: StreamChunk) -> Iterator[tuple[Kind, int, str]]:
    yield Kind.REASONING, 0, chunk.reasoning
    yield Kind.TEXT, 0, chunk.delta
    yield Kind.REFUSAL, 0, chunk.refusal
    for call in chunk.tool_calls:
        start = f"{call.name} " if call.name else ""
        yield Kind.TOOL_CALL, call.index, start + call.arguments
