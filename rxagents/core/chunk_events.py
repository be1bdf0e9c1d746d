"""Convert the chunks of a model's stream to events."""

from __future__ import annotations

from collections.abc import Iterator

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Reasoning, Reset, Token


def events_of(chunk: StreamChunk) -> Iterator[Reset | Reasoning | Token]:
    """Return the events of a chunk's texts, or of its reset; none for further choices."""
    if "reset" in chunk.metadata:
        yield Reset(chunk.metadata["reset"])
    elif chunk.choice == 0:
        if chunk.reasoning:
            yield Reasoning(chunk.reasoning, chunk.timestamp)
        if chunk.delta:
            yield Token(chunk.delta, "", chunk.timestamp)
        if chunk.refusal:
            yield Token(chunk.refusal, "refusal", chunk.timestamp)
