"""Builds the chunks of one stream: numbers them and sets their `content`."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta, set_content
from rxagents.core.usage import Usage


class ChunkBuilder:
    """Builds the chunks of one stream.

    Args:
        metadata: The metadata of the first chunk.

    Attributes:
        chunks: The chunks that `drain` has not returned yet.
        now: When the bytes being parsed arrived, in seconds since the epoch.
        usage: The token counts received so far.
        metadata: The metadata of all following chunks. They share the dict, so assign a new dict
            to change it.
        index: The number of the next chunk.
    """

    __slots__ = ("_texts", "chunks", "index", "metadata", "now", "usage")

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.chunks: list[StreamChunk] = []
        self.now = 0.0
        self.usage: Usage | None = None
        self.metadata = metadata
        self.index = 0
        self._texts: dict[int, TextBuffer] = {}

    def text(self, choice: int) -> TextBuffer:
        """Return the text buffer that the chunks of a choice share."""
        buffer = self._texts.get(choice)
        if buffer is None:
            buffer = self._texts[choice] = TextBuffer()
        return buffer

    def emit(
        self,
        text: str = "",
        *,
        choice: int = 0,
        finish_reason: str = "",
        reasoning: str = "",
        refusal: str = "",
        tool_calls: tuple[ToolCallDelta, ...] = (),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Add a chunk; `metadata` is added to the stream's, for this chunk only."""
        chunk = StreamChunk(
            text,
            self.index,
            choice,
            finish_reason,
            reasoning,
            refusal,
            tool_calls,
            self.usage,
            {**self.metadata, **metadata} if metadata else self.metadata,
            self.now,
        )
        buffer = self.text(choice)
        set_content(chunk, (buffer, buffer.append(text)))
        self.index += 1
        self.chunks.append(chunk)

    def add_metadata(self, **fields: object) -> None:
        """Add fields to the metadata of all following chunks; empty values are left out."""
        old = self.metadata
        new = {key: value for key, value in fields.items() if value and value != old.get(key)}
        if new:
            self.metadata = {**self.metadata, **new}

    def drain(self) -> list[StreamChunk]:
        """Return the chunks since the last `drain`."""
        chunks, self.chunks = self.chunks, []
        return chunks
