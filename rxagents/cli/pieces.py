"""Select the text of a stream that people read."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import (
    Reasoning,
    Reset,
    StreamEvent,
    Thought,
    Token,
    ToolEnd,
    ToolStart,
    TurnStart,
)

Item: TypeAlias = StreamChunk | StreamEvent

_HIDDEN = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n"), ord("\t")})
"""Control characters, which a terminal would execute instead of showing them."""


class Kind(StrEnum):
    """The kinds of shown text."""

    REASONING = "reasoning"
    TEXT = "text"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"
    TOOL_START = "tool_start"
    TOOL_RESULT = "tool_result"
    TOOL_FAILURE = "tool_failure"

    @property
    def is_aside(self) -> bool:
        """Whether the text leads to the answer, instead of being part of it."""
        return self not in {Kind.TEXT, Kind.REFUSAL, Kind.TOOL_CALL}


LABELS = {
    Kind.REASONING: "thought",
    Kind.TEXT: "answer",
    Kind.REFUSAL: "refusal",
    Kind.TOOL_CALL: "tool call",
    Kind.TOOL_START: "tool",
    Kind.TOOL_RESULT: "result",
    Kind.TOOL_FAILURE: "tool error",
}
"""The words before a section, which tell the kinds apart without colour."""

_RESULTS = {Kind.TOOL_RESULT, Kind.TOOL_FAILURE}
_SECTIONS = {"thought": Kind.REASONING, "refusal": Kind.REFUSAL}


class Piece(NamedTuple):
    """A piece of shown text.

    Attributes:
        kind: The kind of text.
        text: The text, without control characters other than line ends and tabs.
        label: The word to show before the text, if it begins a section; else empty. An answer that
            no thought, tool or refusal precedes has none.
    """

    kind: Kind
    text: str
    label: str = ""


class Sections:
    """Cuts chunks and events into pieces, with an empty line between sections."""

    def __init__(self) -> None:
        self._open: tuple[Kind, object] | None = None
        self._steps = 0  # the thoughts and turns so far, each of which begins a section

    def pieces(self, item: Item) -> Iterator[Piece]:
        """Yield the pieces of `item`; the joined pieces of a stream are the shown text."""
        self._steps += isinstance(item, Thought | TurnStart) and not item.path
        for kind, part, text in _parts(item):
            shown = printable(text)
            if not shown:
                continue
            section = self._steps, part
            label = "" if self._open is None and kind is Kind.TEXT else LABELS[kind]
            if self._open == (kind, section):
                label = ""
            elif self._open is not None:
                before, _ = self._open
                belongs = before is Kind.TOOL_START and kind in _RESULTS
                yield Piece(before, "\n" if belongs else "\n\n")
            self._open = kind, section
            yield Piece(kind, shown, label)


def printable(text: str) -> str:
    """Return `text` without control characters other than line ends and tabs."""
    return text.translate(_HIDDEN)


def _parts(item: Item) -> Iterator[tuple[Kind, object, str]]:
    """Yield the shown texts of an item: the kind, the section within that kind, and the text."""
    match item:
        case StreamChunk():
            yield from _parts_of_chunk(item)
        case _ if item.path and not isinstance(item, ToolStart | ToolEnd):
            return  # of a sub-agent, of whose work only the tools are shown
        case Token(section="action"):
            return  # shown with the start of the tool
        case Token():
            yield _SECTIONS.get(item.section, Kind.TEXT), item.section, item.content
        case Reasoning():
            yield Kind.REASONING, "", item.content
        case Reset():
            yield Kind.REASONING, item, f"(starting again after an error: {item.content})"
        case ToolStart():
            arguments = msgspec.json.encode(item.arguments).decode()
            name = "/".join((*item.path, item.name))
            yield Kind.TOOL_START, item.call_id, f"{name} {arguments}"
        case ToolEnd():
            kind = Kind.TOOL_RESULT if item.error is None else Kind.TOOL_FAILURE
            yield kind, item.call_id, item.result


def _parts_of_chunk(chunk: StreamChunk) -> Iterator[tuple[Kind, object, str]]:
    yield Kind.REASONING, 0, chunk.reasoning
    yield Kind.TEXT, 0, chunk.delta
    yield Kind.REFUSAL, 0, chunk.refusal
    for call in chunk.tool_calls:
        start = f"{call.name} " if call.name else ""
        yield Kind.TOOL_CALL, call.index, start + call.arguments
