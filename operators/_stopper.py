"""Holds back the text of one subscription of `stop_at`."""

from __future__ import annotations

from msgspec.structs import replace
from reactivex import abc

from rxagents.core.chunks import StreamChunk, TextBuffer, set_content
from rxagents.operators._items import not_a_chunk
from rxagents.parsing.stop_sequences import StopScanner


class Stopper:
    """Passes chunks on, and holds back text that may begin a stop sequence.

    Args:
        observer: Gets the chunks.
        stops: The stop sequences.
        choice: Index of the choice to read.
    """

    __slots__ = (
        "_buffer",
        "_choice",
        "_extra_chunks",
        "_holder",
        "_may_begin",
        "_observer",
        "_scanner",
    )  # fmt: skip

    def __init__(
        self, observer: abc.ObserverBase[StreamChunk], stops: tuple[str, ...], choice: int
    ) -> None:
        self._observer = observer
        self._scanner = StopScanner(stops)
        self._may_begin = self._scanner.may_begin
        self._choice = choice
        self._begin()

    def _begin(self) -> None:
        self._buffer = TextBuffer()
        self._holder = StreamChunk()
        self._extra_chunks = 0

    def on_next(self, chunk: StreamChunk) -> None:
        """Pass a chunk on, hold its text back, or end the stream."""
        try:
            delta = chunk.delta
            is_of_choice = chunk.choice == self._choice
            is_reset = not delta and "reset" in chunk.metadata
        except AttributeError:
            self._observer.on_error(not_a_chunk("stop_at", chunk))
            return
        if is_reset:
            self._scanner.flush()
            self._begin()
        if not is_of_choice:
            self._observer.on_next(self._renumbered(chunk) if self._extra_chunks else chunk)
        elif self._extra_chunks or self._scanner.held or self._may_begin(delta):
            self._scan(chunk)
        else:  # nearly every chunk: `_emit` inlined, which saves a call
            copy = replace(chunk)
            set_content(copy, (self._buffer, self._buffer.append(delta)))
            self._observer.on_next(copy)

    def on_error(self, error: Exception) -> None:
        """Emit the text that is held back, then the error."""
        self._release(self._scanner.flush())
        self._observer.on_error(error)

    def on_completed(self) -> None:
        """Emit the text that is held back, then complete."""
        self._release(self._scanner.flush())
        self._observer.on_completed()

    def _scan(self, chunk: StreamChunk) -> None:
        scanner, delta = self._scanner, chunk.delta
        held = scanner.held
        text = scanner.feed(delta) if delta else ""
        if scanner.found:
            self._stop(chunk, text)
        elif chunk.tool_calls or chunk.finish_reason or chunk.reasoning or chunk.refusal:
            scanner.flush()
            self._release(held)
            self._emit(chunk, delta)
        else:
            if scanner.held:
                self._holder = chunk
            if text or not delta:
                self._emit(chunk, text)

    def _emit(self, chunk: StreamChunk, text: str) -> None:
        copy = replace(chunk, delta=text)
        if self._extra_chunks:
            copy = replace(copy, index=chunk.index + self._extra_chunks)
        set_content(copy, (self._buffer, self._buffer.append(text)))
        self._observer.on_next(copy)

    def _release(self, held: str) -> None:
        """Emit held text, in a chunk with the fields of the chunk that brought it."""
        if held:
            self._extra_chunks += 1
            self._emit(self._holder, held)

    def _stop(self, chunk: StreamChunk, text: str) -> None:
        bare = replace(chunk, finish_reason="", refusal="", tool_calls=())
        if text or chunk.reasoning:
            self._emit(bare, text)
            self._extra_chunks += 1
        metadata = {**chunk.metadata, "stop_sequence": self._scanner.found}
        self._emit(replace(bare, finish_reason="stop", reasoning="", metadata=metadata), "")
        self._observer.on_completed()

    def _renumbered(self, chunk: StreamChunk) -> StreamChunk:
        copy = replace(chunk, index=chunk.index + self._extra_chunks)
        text_so_far = getattr(chunk, "_text", None)
        if text_so_far is not None:
            set_content(copy, text_so_far)
        return copy
