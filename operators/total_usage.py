"""Sum the token usage of a stream of requests."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.usage import Usage, add_usage
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.factories import operator_factory


@operator_factory
def total_usage() -> Callable[[Observable[StreamChunk]], Observable[Usage]]:
    """Sum the token counts of the requests that follow one another in a stream.

    A new request begins where a chunk's `index` is not larger than the previous one, as in
    streams that were joined with `concat`. Within a request the counts are cumulative: the last
    ones count. A count that no request has sent is `None`.

    .. marble::
        --(0)--(1, 7 tokens)--(0)--(1, 5 tokens)--|
        [ total_usage() ]
        ------------------------------------------(12 tokens|)
        legend: 0, 1 = index of the chunk

    Emits when: the source completes; if no request sent counts, a `Usage` without any.
    Backpressures when: never; only the counts are kept.
    Completes when: the source completes.

    Args:
        None. All choices count: providers send the usage of a request, not of a choice.

    Returns:
        An operator from chunks to one `Usage`. Its `raw` is that of the request, if only one sent
        its usage, and empty otherwise.

    Raises:
        ConfigurationError: In the stream, if the source emits anything but chunks. The source's
            errors pass, and no usage is emitted then.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, Usage, operators as ops
        >>> first = rx.of(StreamChunk("Hi", index=0), StreamChunk(index=1, usage=Usage(5, 2)))
        >>> second = rx.of(StreamChunk("Hi", index=0, usage=Usage(4, 1)))
        >>> rx.concat(first, second).pipe(ops.total_usage()).subscribe(
        ...     lambda usage: print(usage.input_tokens, usage.output_tokens)
        ... )
        9 3
        <...>
    """

    def total_usage_(source: Observable[StreamChunk]) -> Observable[Usage]:
        def subscribe(
            observer: abc.ObserverBase[Usage], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            total: Usage | None = None
            current: Usage | None = None
            index = -1

            def on_next(chunk: StreamChunk) -> None:
                nonlocal total, current, index
                try:
                    position, usage = chunk.index, chunk.usage
                except AttributeError:
                    observer.on_error(not_a_chunk("total_usage", chunk))
                    return
                if position <= index:
                    total, current = add_usage(total, current), None
                index = position
                if usage is not None:
                    current = usage

            def on_completed() -> None:
                observer.on_next(add_usage(total, current) or Usage())
                observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return total_usage_
