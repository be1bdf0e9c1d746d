"""The chunks of one stream, numbered, and tied to the text before them."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta, set_content
from rxagents.core.usage import Usage


class ChunkBuilder:
    """Makes the chunks of one stream.

    Args:
        metadata: What is known before the first event.

    Attributes:
        chunks: The chunks made since they were last taken away.
        now: When the bytes being parsed arrived, in seconds since the epoch.
        usage: The token counts known so far.
        metadata: What all chunks from here on tell; put a new dict here to change it, since
            chunks share it.
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
        """Return the text of a choice, to which each of its chunks is tied."""
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
        """Make a chunk; `metadata` is what this one tells beside the stream's own."""
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

    def learn(self, **told: object) -> None:
        """Note what all chunks from here on tell, except what is empty."""
        known = self.metadata
        new = {key: value for key, value in told.items() if value and value != known.get(key)}
        if new:
            self.metadata = {**self.metadata, **new}

    def drain(self) -> list[StreamChunk]:
        """Return the chunks made since they were last taken away."""
        chunks, self.chunks = self.chunks, []
        return chunks
