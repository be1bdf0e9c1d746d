"""The text of a stream, as it comes."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.operators._chunks import pieces_of


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
        ConfigurationError: At once, if `choice` is not a number of 0 or more; in the stream, if
            the source emits anything but chunks. The source's errors pass.
        Exception: In the stream, the reason of a reset that comes after text: what was emitted
            cannot be taken back, as `accumulate` can.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> rx.of(StreamChunk("Hel"), StreamChunk("lo")).pipe(ops.text()).subscribe(print)
        Hel
        lo
        <...>
    """
    return pieces_of("delta", "text", choice)
