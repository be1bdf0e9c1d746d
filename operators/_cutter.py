"""Cut items of text into smaller items."""

from __future__ import annotations

from typing import TypeVar, cast

from msgspec.structs import replace

from rxagents.core.chunks import StreamChunk, set_content
from rxagents.core.joining import with_text

T = TypeVar("T")


class Cutter:
    """Cuts the items of one stream into pieces, which keep all fields but for their text.

    Of chunks, `index` and `content` are those of the stream that comes out.
    """

    __slots__ = ("_index", "_inserted")

    def __init__(self) -> None:
        self._index = -1
        self._inserted = 0

    def cut(self, item: T, texts: list[str]) -> list[T]:
        """Return an item that `is_text` in pieces; `texts` joined are its text."""
        if isinstance(item, StreamChunk):
            return cast("list[T]", self._cut_chunk(item, texts))
        return [with_text(item, text) for text in texts]

    def keep(self, item: T) -> T:
        """Return an item that stays whole, in its place after the pieces."""
        return cast("T", self._keep_chunk(item)) if isinstance(item, StreamChunk) else item

    def _cut_chunk(self, chunk: StreamChunk, texts: list[str]) -> list[StreamChunk]:
        first = self._place(chunk)
        self._inserted += len(texts) - 1
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
        index = self._place(chunk)
        if index == chunk.index:
            return chunk
        copy = replace(chunk, index=index)
        set_content(copy, (_Whole(chunk), 0))
        return copy

    def _place(self, chunk: StreamChunk) -> int:
        if chunk.index <= self._index:  # another stream, or the same again
            self._inserted = 0
        self._index = chunk.index
        return chunk.index + self._inserted


class _Whole:
    """The text of a chunk that was cut, as its pieces see it."""

    __slots__ = ("_chunk",)

    def __init__(self, chunk: StreamChunk) -> None:
        self._chunk = chunk

    def upto(self, rest: int) -> str:
        """Return the text but for its last characters."""
        text = self._chunk.content
        return text[: len(text) - rest]
