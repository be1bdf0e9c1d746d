"""A stream as lines of JSON: what came, and when."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType, convert
from msgspec.structs import force_setattr

from rxagents.core.chunks import StreamChunk, TextBuffers
from rxagents.core.events import ErrorInfo

T = TypeVar("T")


class RecordedLine(Struct, Generic[T], omit_defaults=True):
    """One line of a recording: an item, or the end.

    Attributes:
        at: Seconds since the subscription.
        item: What came.
        completed: The stream completed.
        error: What the stream failed with.
    """

    at: float
    item: T | UnsetType = UNSET
    completed: bool = False
    error: ErrorInfo | None = None


class ChunkRestorer:
    """Gives decoded chunks back what their JSON does not hold.

    That is the text so far as `content`, the one metadata dict that chunks share while nothing
    changes, and the type of a reset's reason.
    """

    __slots__ = ("_index", "_metadata", "_texts")

    def __init__(self) -> None:
        self._index = -1
        self._metadata: dict[str, Any] = {}
        self._texts = TextBuffers()

    def restore(self, chunk: StreamChunk) -> None:
        """Complete a chunk, the next of its recording, that nobody has seen yet."""
        if "reset" in chunk.metadata:
            chunk.metadata["reset"] = convert(chunk.metadata["reset"], ErrorInfo)
        if chunk.metadata == self._metadata:
            force_setattr(chunk, "metadata", self._metadata)
        self._metadata = chunk.metadata
        if chunk.index <= self._index:  # another stream, or the same again
            self._texts = TextBuffers()
        self._index = chunk.index
        self._texts.tie(chunk)
