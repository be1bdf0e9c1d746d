"""Check the items of operators on chunks and text, and pick text out of chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Literal, cast

from reactivex import Observable, abc

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk, TextBurst
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import core_of
from rxagents.runtime.stream import items_by_read


def not_a_chunk(name: str, item: object) -> ConfigurationError:
    """Return the error for an item that is not a chunk."""
    return ConfigurationError(
        f"{name} takes StreamChunks, but the source emitted {type(item).__name__}. Put it before "
        "operators that turn chunks into something else."
    )


def not_a_text(name: str, item: object) -> ConfigurationError:
    """Return the error for an item that is not text."""
    return ConfigurationError(
        f"{name} takes pieces of text (str), but the source emitted {type(item).__name__}. Put "
        "text() before it."
    )


def pieces_of(
    field: Literal["delta", "reasoning"], name: str, choice: int
) -> Callable[[Observable[StreamChunk]], Observable[str]]:
    """Return the operator `name`, which emits `field` of each chunk of one choice.

    Emitted text cannot be taken back: a reset after it ends the stream with the reset's reason.
    """
    checked_choice(choice)
    piece_of: Callable[[StreamChunk], str] = attrgetter(field)
    pieces_in = partial(_pieces_in, piece_of, choice)

    def operator(source: Observable[StreamChunk]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            pieces = items_by_read(source, pieces_in)
            if pieces is not None:  # the stream of a model, which has no resets
                return cast("abc.DisposableBase", core_of(pieces)(observer, scheduler))
            has_emitted = False

            def on_next(chunk: StreamChunk) -> None:
                nonlocal has_emitted
                try:
                    piece = piece_of(chunk) if chunk.choice == choice else ""
                except AttributeError:
                    observer.on_error(not_a_chunk(name, chunk))
                    return
                if piece:
                    has_emitted = True
                    observer.on_next(piece)
                elif has_emitted and "reset" in chunk.metadata:
                    observer.on_error(chunk.metadata["reset"].exception())

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator


def _pieces_in(
    piece_of: Callable[[StreamChunk], str], choice: int, chunks: list[StreamChunk]
) -> list[str]:
    """Return the pieces in the chunks of one choice; a burst has several."""
    pieces: list[str] = []
    for chunk in chunks:
        if chunk.choice == choice and (piece := piece_of(chunk)):
            if type(chunk) is TextBurst:
                pieces += chunk.deltas
            else:
                pieces.append(piece)
    return pieces
