"""Emit a model's text."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.operators._items import pieces_of
from rxagents.runtime.factories import operator_factory


@operator_factory
def text(choice: int = 0) -> Callable[[Observable[StreamChunk]], Observable[str]]:
    """Emit each new piece of text.

    .. marble::
        --(role)--(Hel)--(lo)--(usage)--|
        [ text() ]
        ----------(Hel)--(lo)-----------|

    Directly behind a model's stream, no chunks are made of texts that come in one read.

    Emits when: a chunk of the choice brings text.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        choice: Index of the choice to read, where the request asked for several.

    Returns:
        An operator from chunks to their `delta`, where it is not empty.

    Raises:
        ConfigurationError: On the call, if `choice` is not a whole number of 0 or more; in the
            stream, if the source emits anything but chunks. The source's errors pass.
        Exception: In the stream, the reason of a reset that comes after text: emitted text cannot
            be taken back. Use `accumulate` where the stream may start again.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> rx.of(StreamChunk("Hel"), StreamChunk("lo")).pipe(ops.text()).subscribe(print)
        Hel
        lo
        <...>
    """
    return pieces_of("delta", "text", choice)
