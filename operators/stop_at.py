"""End a stream at a stop sequence."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.operators._stopper import Stopper
from rxagents.runtime.factories import operator_factory


@operator_factory
def stop_at(
    *stops: str, choice: int = 0
) -> Callable[[Observable[StreamChunk]], Observable[StreamChunk]]:
    """End the stream before the first stop sequence, and cancel the source.

    Text that may begin a stop sequence is held back until that is known, also across chunks; all
    other text passes at once. The sequence that is complete first counts, and of several that end
    with the same character the longest. The last chunk then has the finish reason `"stop"` and
    the sequence as `metadata["stop_sequence"]`. Usage that the provider sends only at its end is
    not received.

    Held text is released before a chunk of this choice that brings anything else, such as a tool
    call or a finish reason, before an error and before completion; a reset drops it. Chunks of
    other choices pass. `index` and `content` are those of the resulting stream.

    .. marble::
        --(4 E)--(asy)---(. END of it)--------
        [ stop_at("END") ]
        --(4 )---(Easy)--(. )(stop|)

    Emits when: text is known to stand before any stop sequence, and for every other chunk.
    Backpressures when: downstream does; at most the beginning of a stop sequence is kept.
    Completes when: a stop sequence is found, or the source completes.

    Args:
        stops: The stop sequences, one or more.
        choice: Index of the choice to read, where the request asked for several.

    Returns:
        An operator from chunks to chunks.

    Raises:
        ConfigurationError: On the call, if there is no stop sequence, one is empty or not a text,
            or `choice` is not a whole number of 0 or more; in the stream, if the source emits
            anything but chunks. The source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> chunks = rx.of(StreamChunk("4 E"), StreamChunk("ND of it"))
        >>> chunks.pipe(ops.stop_at("END")).subscribe(
        ...     lambda chunk: print(repr(chunk.delta), chunk.finish_reason)
        ... )
        '4 '...
        '' stop
        <...>
    """
    if not stops:
        raise ConfigurationError(
            'stop_at needs at least one stop sequence, such as stop_at("\\n\\n").'
        )
    for stop in stops:
        if not isinstance(stop, str) or not stop:
            raise ConfigurationError(
                f"A stop sequence must be a str that is not empty, not {stop!r}."
            )
    checked_choice(choice)

    def stop_at_(source: Observable[StreamChunk]) -> Observable[StreamChunk]:
        def subscribe(
            observer: abc.ObserverBase[StreamChunk], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            stopper = Stopper(observer, stops, choice)
            return source.subscribe(
                stopper.on_next, stopper.on_error, stopper.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return stop_at_
