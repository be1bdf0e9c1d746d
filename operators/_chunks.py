"""What the operators on chunks share."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Literal

from reactivex import Observable, abc

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError


def not_a_chunk(name: str, item: object) -> ConfigurationError:
    """Return the error of an operator that was given something else than chunks."""
    return ConfigurationError(
        f"{name} takes the StreamChunks of a model's stream, not {type(item).__name__}: put it "
        "before operators that make something else of them."
    )


def pieces_of(
    field: Literal["delta", "reasoning"], name: str, choice: int
) -> Callable[[Observable[StreamChunk]], Observable[str]]:
    """Return the operator `name`, which emits what `field` brings of one choice.

    Text that was emitted cannot be taken back: a reset after it ends the stream with its reason.
    """
    checked_choice(choice)
    piece_of: Callable[[StreamChunk], str] = attrgetter(field)

    def operator(source: Observable[StreamChunk]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            told = False

            def on_next(chunk: StreamChunk) -> None:
                nonlocal told
                try:
                    piece = piece_of(chunk) if chunk.choice == choice else ""
                except AttributeError:
                    observer.on_error(not_a_chunk(name, chunk))
                    return
                if piece:
                    told = True
                    observer.on_next(piece)
                elif told and "reset" in chunk.metadata:
                    observer.on_error(chunk.metadata["reset"].exception())

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator
