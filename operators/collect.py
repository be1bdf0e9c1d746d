"""Collect a whole stream into one response."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk
from rxagents.core.response import Response, ResponseBuilder
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.stream import in_bursts


@operator_factory
def collect(choice: int = 0) -> Callable[[Observable[StreamChunk]], Observable[Response]]:
    """Emit the whole stream as one `Response`, at the end.

    .. marble::
        --(Hel)--(lo)--(stop)--|
        [ collect() ]
        -----------------------(Hello|)

    Directly behind a model's stream, no chunks are made of texts that come in one read.

    Emits when: the source completes; a source without chunks gives an empty response.
    Backpressures when: never; only the text is kept.
    Completes when: the source completes.

    Args:
        choice: Index of the choice to read, where the request asked for several.

    Returns:
        An operator from chunks to one response.

    Raises:
        ConfigurationError: On the call, if `choice` is not a whole number of 0 or more; in the
            stream, if the source emits anything but chunks. The source's errors pass, and no
            response is emitted then.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> chunks = rx.of(StreamChunk("Hel"), StreamChunk("lo"))
        >>> chunks.pipe(ops.collect()).subscribe(lambda response: print(response.content))
        Hello
        <...>
    """
    checked_choice(choice)

    def collect_(source: Observable[StreamChunk]) -> Observable[Response]:
        def subscribe(
            observer: abc.ObserverBase[Response], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            builder = ResponseBuilder(choice)

            def on_next(chunk: StreamChunk) -> None:
                try:
                    builder.add(chunk)
                except AttributeError:
                    observer.on_error(not_a_chunk("collect", chunk))

            def on_completed() -> None:
                observer.on_next(builder.response())
                observer.on_completed()

            return in_bursts(source).subscribe(
                on_next, observer.on_error, on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return collect_
