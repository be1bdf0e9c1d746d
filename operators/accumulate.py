"""Emit the response so far after every chunk."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc, defer
from reactivex import operators as rx_ops

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk
from rxagents.core.response import Response, ResponseBuilder
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.factories import operator_factory


@operator_factory
def accumulate(choice: int = 0) -> Callable[[Observable[StreamChunk]], Observable[Response]]:
    """Emit the `Response` so far after every chunk.

    Every response costs the same, however long the stream: its text is joined only when it is
    read, and later chunks do not change it.

    .. marble::
        --(Hel)--(lo)-----|
        [ accumulate() ]
        --(Hel)--(Hello)--|

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        choice: Index of the choice to read, where the request asked for several.

    Returns:
        An operator from chunks to responses.

    Raises:
        ConfigurationError: On the call, if `choice` is not a whole number of 0 or more; in the
            stream, if the source emits anything but chunks. The source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> chunks = rx.of(StreamChunk("Hel"), StreamChunk("lo"))
        >>> chunks.pipe(ops.accumulate()).subscribe(lambda response: print(response.content))
        Hel
        Hello
        <...>
    """
    checked_choice(choice)

    def accumulate_(source: Observable[StreamChunk]) -> Observable[Response]:
        def subscription(_: abc.SchedulerBase) -> Observable[Response]:
            builder = ResponseBuilder(choice)

            def fold(chunk: StreamChunk) -> Response:
                try:
                    builder.add(chunk)
                except AttributeError:
                    raise not_a_chunk("accumulate", chunk) from None
                return builder.response()

            return source.pipe(rx_ops.map(fold))

        return defer(subscription)

    return accumulate_
