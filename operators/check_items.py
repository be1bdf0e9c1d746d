"""Fail a stream at the first wrong element of a list in its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.operators._elements import ElementReader, ElementType
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.factories import operator_factory


@operator_factory
def check_items(
    path: str, type: Any
) -> Callable[[Observable[StreamChunk]], Observable[StreamChunk]]:
    """Pass the chunks of an answer on, and fail when an element closes that is not of a type.

    Put `retry_with_backoff` with `on_reset` after it, and `items` after that: a wrong element then
    ends the request, the answer starts again, and no element is emitted twice. An element that is
    still open is never judged. An answer that is no JSON, or is not complete, passes.

    .. marble::
        --([{"n": 1})--(}, {"n": "x)--(y"})--|
        [ check_items("[]", N) ]
        --([{"n": 1})--(}, {"n": "x)--#

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        path: The path of the elements, as in `items`.
        type: The type of an element, as in `items`.

    Returns:
        An operator that leaves the chunks as they are.

    Raises:
        OutputError: In the stream, before the chunk that closes it: an element does not match the
            type. The message can be sent to the model as a correction.
        ConfigurationError: On the call, if `path` is no path or msgspec cannot decode `type`; in
            the stream, if the source emits anything but chunks. The source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import OutputError, StreamChunk, operators as ops
        >>> attempts = iter([rx.of(StreamChunk('[1, "x"')), rx.of(StreamChunk("[1, 2]"))])
        >>> checked = rx.defer(lambda _: next(attempts)).pipe(ops.check_items("[]", int))
        >>> restarted = checked.pipe(
        ...     ops.retry_with_backoff(
        ...         on_reset=StreamChunk.reset,
        ...         retry_if=lambda error: isinstance(error, OutputError),
        ...         first_wait=0.001,
        ...     )
        ... )
        >>> import rxagents
        >>> rxagents.run(restarted.pipe(ops.items("[]", int)), print)
        1
        2
        2
    """
    element = ElementType(path, type)

    def check_items_(source: Observable[StreamChunk]) -> Observable[StreamChunk]:
        def subscribe(
            observer: abc.ObserverBase[StreamChunk], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            reader = ElementReader(element)

            def on_next(chunk: StreamChunk) -> None:
                nonlocal reader
                try:
                    piece = "" if chunk.choice else chunk.delta
                except AttributeError:
                    observer.on_error(not_a_chunk("check_items", chunk))
                    return
                if piece:
                    reader.read(piece)
                    if reader.refused is not None:
                        observer.on_error(reader.refused)
                        return
                elif "reset" in chunk.metadata:
                    reader = ElementReader(element)
                observer.on_next(chunk)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return check_items_
