"""The thinking text of a stream, as it comes."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.operators._chunks import pieces_of


def reasoning(choice: int = 0) -> Callable[[Observable[StreamChunk]], Observable[str]]:
    """Emit each new piece of thinking text.

    .. marble::
        --(Hm)--(so)--(Hello)--(usage)--|
        [ reasoning() ]
        --Hm----so----------------------|

    Emits when: a chunk of the choice brings thinking text.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        choice: Which of the answers, where several were asked for.

    Returns:
        An operator from chunks to the `reasoning` of each that is not empty.

    Raises:
        ConfigurationError: At once, if `choice` is not a number of 0 or more; in the stream, if
            the source emits anything but chunks. The source's errors pass.
        Exception: In the stream, the reason of a reset that comes after text: what was emitted
            cannot be taken back, as `accumulate` can.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> chunks = rx.of(StreamChunk(reasoning="Hm"), StreamChunk("Hello"))
        >>> chunks.pipe(ops.reasoning()).subscribe(print)
        Hm
        <...>
    """
    return pieces_of("reasoning", "reasoning", choice)
