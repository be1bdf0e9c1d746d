"""Cut items of text into smaller items."""

from __future__ import annotations

from typing import TypeVar, cast

from msgspec.structs import replace

from rxagents.core.chunks import StreamChunk, set_content
from rxagents.core.joining import with_text

T = TypeVar("T")


class Cutter:
    """Cuts the items of one stream into pieces that keep all fields except the text.

    The `index` and `content` of chunks are those of the resulting stream.
    """

    __slots__ = ("_extra_chunks", "_index")

    def __init__(self) -> None:
        self._index = -1
        self._extra_chunks = 0

    def cut(self, item: T, texts: list[str]) -> list[T]:
        """Return the pieces of an item that `is_text`; joined, `texts` are its text."""
        if isinstance(item, StreamChunk):
            return cast("list[T]", self._cut_chunk(item, texts))
        return [with_text(item, text) for text in texts]

    def keep(self, item: T) -> T:
        """Return an item that stays whole, renumbered to follow the pieces before it."""
        return cast("T", self._keep_chunk(item)) if isinstance(item, StreamChunk) else item

    def _cut_chunk(self, chunk: StreamChunk, texts: list[str]) -> list[StreamChunk]:
        first = self._new_index(chunk)
        self._extra_chunks += len(texts) - 1
        whole, rest = _Whole(chunk), len(chunk.delta)
        pieces = []
        for index, text in enumerate(texts, first):
            if chunk.delta:
                rest -= len(text)
                piece = replace(chunk, delta=text, index=index)
            else:
                piece = replace(chunk, reasoning=text, index=index)
            set_content(piece, (whole, rest))
            pieces.append(piece)
        return pieces

    def _keep_chunk(self, chunk: StreamChunk) -> StreamChunk:
        index = self._new_index(chunk)
        if index == chunk.index:
            return chunk
        copy = replace(chunk, index=index)
        set_content(copy, (_Whole(chunk), 0))
        return copy

    def _new_index(self, chunk: StreamChunk) -> int:
        if chunk.index <= self._index:  # another stream, or the same one started again
            self._extra_chunks = 0
        self._index = chunk.index
        return chunk.index + self._extra_chunks


class _Whole:
    """The text of a chunk that was cut; each piece takes its `content` from it."""

    __slots__ = ("_chunk",)

    def __init__(self, chunk: StreamChunk) -> None:
        self._chunk = chunk

    def upto(self, rest: int) -> str:
        """Return the text without its last `rest` characters."""
        text = self._chunk.content
        return text[: len(text) - rest]
