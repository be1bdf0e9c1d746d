"""The text of a stream, as it comes."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, compose
from reactivex import operators as ops

from rxagents.core.chunks import StreamChunk


def text(choice: int = 0) -> Callable[[Observable[StreamChunk]], Observable[str]]:
    """Emit each new piece of text.

    .. marble::
        --(role)--(Hel)--(lo)--(usage)--|
        [ text() ]
        ----------Hel----lo-------------|

    Emits when: a chunk of the choice brings text.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        choice: Which of the answers, where several were asked for.

    Returns:
        An operator from chunks to their `delta`s that are not empty.

    Raises:
        Nothing of its own; the source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> rx.of(StreamChunk("Hel"), StreamChunk("lo")).pipe(ops.text()).subscribe(print)
        Hel
        lo
        <...>
    """

    def is_text(chunk: StreamChunk) -> bool:
        return chunk.choice == choice and bool(chunk.delta)

    def delta(chunk: StreamChunk) -> str:
        return chunk.delta

    return compose(ops.filter(is_text), ops.map(delta))
