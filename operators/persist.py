"""Keep a stream in an event log on its way to the subscriber."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.kept import kept
from rxagents.runtime.event_log.log_store import checked_key
from rxagents.runtime.factories import operator_factory

T = TypeVar("T")


@operator_factory
def persist(
    log: EventLog, key: str | Callable[[], str]
) -> Callable[[Observable[T]], Observable[T]]:
    """Keep a stream in an event log, where others can read it with `rxagents.from_log`.

    Disposing the subscription cancels the source, as everywhere, and ends the run in the log as
    `disposed`. The end comes when its mark is stored. A stream that is subscribed to again under
    the same key, after its end, is another attempt of the run: readers get a `Reset` before it.
    `log.start(key, stream)` runs a stream that has no subscriber of its own.

    .. marble::
        --1--2--3--|
        [ persist(log, "run") ]
        --1--2--3--|

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source has completed and its end is stored.

    Args:
        log: The event log.
        key: The key of the run; or a function that returns one, called for each subscription.

    Returns:
        An operator that leaves the items as they are. msgspec must be able to encode them, as it
        can chunks and events.

    Raises:
        ConfigurationError: On the call, if an argument is of the wrong type.
        LeaseError: In the stream, if another subscription or process writes the run, or has taken
            it over because this one was not heard of for 15 s.
        StorageError: In the stream, if the store fails or an item cannot be encoded.
        BackpressureError: In the stream, if the store is too slow. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> log = rxagents.EventLog()
        >>> rxagents.run(rx.of(1, 2).pipe(ops.persist(log, "numbers")))
        2
        >>> rxagents.run(rxagents.from_log(log, "numbers", int, after="1-1"))
        LogEntry(id='1-2', item=2)
    """
    if not isinstance(log, EventLog):
        raise ConfigurationError(f"log must be an rxagents.EventLog, not {type(log).__name__}.")
    if not callable(key):
        checked_key(key)

    def persist_(source: Observable[T]) -> Observable[T]:
        return kept(log, key, source)

    return persist_
