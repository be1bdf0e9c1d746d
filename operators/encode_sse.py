"""Encode a stream as server-sent events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from reactivex import Observable, abc

from rxagents.core.errors import ConfigurationError
from rxagents.operators._encoding import data_frame
from rxagents.operators._sse import end_frame, failure_frame
from rxagents.runtime.event_log.log_entries import LogEntry
from rxagents.runtime.factories import operator_factory

T = TypeVar("T")


@operator_factory
def encode_sse(*, end: str = "end") -> Callable[[Observable[T]], Observable[bytes]]:
    r"""Encode each item as one server-sent event with JSON data, for the body of a response.

    Items are `StreamEvent`s, chunks, or whatever msgspec can encode. An entry of an event log has
    its id as the event's id, so that a browser's `EventSource` resumes with `Last-Event-ID`. The
    last event has a name, `end`: a page closes its `EventSource` there, which would otherwise
    connect again. A failed stream has an `ErrorEvent` before it.

    .. marble::
        --a----b----#
        [ encode_sse() ]
        --A----B----(XE)|
        legend: A = data: a, X = data: the error, E = event: end

    Emits when: the source emits, and when it ends.
    Backpressures when: downstream does.
    Completes when: the source has completed or failed.

    Args:
        end: The name of the last event.

    Returns:
        An operator from items to the bytes of events.

    Raises:
        ConfigurationError: On the call, if `end` is not one line of text.
        TypeError: In the stream, if msgspec cannot encode an item.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> rx.of({"n": 1}).pipe(ops.encode_sse()).subscribe(print)
        b'data: {"n":1}\n\n'
        b'event: end\ndata: {}\n\n'
        <...>
    """
    if not isinstance(end, str) or end.splitlines() != [end]:
        raise ConfigurationError(f"end must be one line of text, not {end!r}.")
    last = end_frame(end)

    def encode_sse_(source: Observable[T]) -> Observable[bytes]:
        def subscribe(
            observer: abc.ObserverBase[bytes], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            encode = msgspec.json.Encoder().encode
            newest = b""

            def on_next(item: T) -> None:
                nonlocal newest
                if isinstance(item, LogEntry):
                    newest = b"id: " + item.id.encode() + b"\n" + data_frame(encode(item.item))
                else:
                    newest = data_frame(encode(item))
                observer.on_next(newest)

            def on_error(error: Exception) -> None:
                observer.on_next(failure_frame(error, newest) + last)
                observer.on_completed()

            def on_completed() -> None:
                observer.on_next(last)
                observer.on_completed()

            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return encode_sse_
