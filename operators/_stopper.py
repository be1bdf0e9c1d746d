"""The state of `stop_at`."""

from __future__ import annotations

from msgspec.structs import replace
from reactivex import abc

from rxagents.core.chunks import StreamChunk, TextBuffer, set_content
from rxagents.operators._chunks import not_a_chunk
from rxagents.parsing.stop_sequences import StopScanner


class Stopper:
    """One subscription of `stop_at`: what is held back, and the text that has passed.

    Args:
        observer: Who gets the chunks.
        stops: The stop sequences.
        choice: The choice in which they count.
    """

    __slots__ = ("_buffer", "_choice", "_holder", "_inserted", "_may_begin", "_observer",
                 "_scanner")  # fmt: skip

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
        self._inserted = 0

    def on_next(self, chunk: StreamChunk) -> None:
        """Take in a chunk."""
        try:
            delta = chunk.delta
            mine = chunk.choice == self._choice
            is_reset = not delta and "reset" in chunk.metadata
        except AttributeError:
            self._observer.on_error(not_a_chunk("stop_at", chunk))
            return
        if is_reset:
            self._scanner.flush()
            self._begin()
        if not mine:
            self._observer.on_next(self._shifted(chunk) if self._inserted else chunk)
        elif self._inserted or self._scanner.held or self._may_begin(delta):
            self._take(chunk)
        else:  # as nearly all chunks: what `_emit` does, without the call
            copy = replace(chunk)
            set_content(copy, (self._buffer, self._buffer.append(delta)))
            self._observer.on_next(copy)

    def on_error(self, error: Exception) -> None:
        """Pass the error on, after what is held back."""
        self._release(self._scanner.flush())
        self._observer.on_error(error)

    def on_completed(self) -> None:
        """Complete, after what is held back."""
        self._release(self._scanner.flush())
        self._observer.on_completed()

    def _take(self, chunk: StreamChunk) -> None:
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
        if self._inserted:
            copy = replace(copy, index=chunk.index + self._inserted)
        set_content(copy, (self._buffer, self._buffer.append(text)))
        self._observer.on_next(copy)

    def _release(self, held: str) -> None:
        """Emit what was held back, in a chunk of its own like the one that brought it."""
        if held:
            self._inserted += 1
            self._emit(self._holder, held)

    def _stop(self, chunk: StreamChunk, text: str) -> None:
        bare = replace(chunk, finish_reason="", refusal="", tool_calls=())
        if text or chunk.reasoning:
            self._emit(bare, text)
            self._inserted += 1
        metadata = {**chunk.metadata, "stop_sequence": self._scanner.found}
        self._emit(replace(bare, finish_reason="stop", reasoning="", metadata=metadata), "")
        self._observer.on_completed()

    def _shifted(self, chunk: StreamChunk) -> StreamChunk:
        copy = replace(chunk, index=chunk.index + self._inserted)
        place = getattr(chunk, "_text", None)
        if place is not None:
            set_content(copy, place)
        return copy
