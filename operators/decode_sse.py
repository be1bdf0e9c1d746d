"""Decode server-sent events from bytes."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.core.checks import checked_count
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.operators._decoding import decoding
from rxagents.parsing.sse import ServerSentEvent, SSEDecoder
from rxagents.runtime.factories import operator_factory


@operator_factory
def decode_sse(
    max_event_bytes: int = DEFAULT_LIMITS.event_bytes,
) -> Callable[[Observable[bytes]], Observable[ServerSentEvent]]:
    r"""Decode server-sent events, wherever the network cut the bytes.

    Follows the WHATWG standard: invalid UTF-8 is replaced, and an event at the end without its
    blank line is dropped.

    .. marble::
        --(data: a\n)--(\ndata: b)--(\n\n)--|
        [ decode_sse() ]
        ---------------a------------b-------|

    Emits when: bytes complete an event; synchronously, once for each event in them.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        max_event_bytes: The longest event that is accepted, in bytes.

    Returns:
        An operator from bytes to events with `event`, `data` and `id` (the last event id).

    Raises:
        ConfigurationError: On the call, if `max_event_bytes` is not a whole number of 1 or more.
        LimitExceededError: In the stream, if an event is longer than `max_event_bytes`.
        ConfigurationError: In the stream, if the source emits anything but bytes.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> source = rx.of(b"data: hel", b"lo\n\n")
        >>> source.pipe(ops.decode_sse()).subscribe(lambda event: print(event.data))
        hello
        <...>
    """
    checked_count("max_event_bytes", max_event_bytes)
    return decoding("decode_sse", lambda: SSEDecoder(max_event_bytes), flush=False)
