"""Read a run of an event log."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from reactivex import Observable, abc

from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_entries import LogEntry, decoder_of, entries_of
from rxagents.runtime.event_log.log_reader import LogReader
from rxagents.runtime.event_log.log_store import checked_key, parse_id
from rxagents.runtime.factories import source_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@overload
def from_log(
    log: EventLog, key: str, *, after: str | None = None
) -> Observable[LogEntry[StreamEvent]]: ...


@overload
def from_log(
    log: EventLog, key: str, type: type[T], *, after: str | None = None
) -> Observable[LogEntry[T]]: ...


@source_factory
def from_log(
    log: EventLog, key: str, type: Any = StreamEvent, *, after: str | None = None
) -> Observable[LogEntry[Any]]:
    """Read a run that an event log keeps, from any entry on, and follow it to its end.

    Disposing a reader does not touch the run. Each reader goes at its own pace and holds up nobody.
    If the run was started again, the entries of all attempts come, and a `Reset` (in a stream of
    chunks a reset chunk) before those of another attempt.

    .. marble::
        [ from_log(log, "run") ]
        -(1-1:a)-(1-2:b)-(1-3:c)-|
        [ from_log(log, "run", after="1-1") ]
        -(1-2:b)-(1-3:c)-|

    Emits when: an entry is stored; on subscription, those that are kept.
    Backpressures when: downstream does; the run goes on meanwhile.
    Completes when: the run has completed.

    Args:
        log: The event log.
        key: The key of the run.
        type: The type of the items: `StreamEvent`, or another such as `StreamChunk`;
            `msgspec.Raw` gives the JSON of each item as it was encoded once for all readers.
        after: The id of the entry to read on from, such as the `Last-Event-ID` of a browser; by
            default the first one.

    Returns:
        A cold Observable of the run's items with their ids.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type, or `after` is not an id.
        LogGoneError: In the stream, if the log does not have the run or the entry, or no longer.
        RunInterruptedError: In the stream, if the process that wrote the run is gone.
        StreamCancelledError: In the stream, if the run was disposed or stopped.
        StreamDecodeError: In the stream, if an item is not of this type.
        RxAgentsError: In the stream, the error that the run failed with.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> log = rxagents.EventLog()
        >>> rxagents.run(rx.of("a", "b").pipe(ops.persist(log, "letters")))
        'b'
        >>> rxagents.run(rxagents.from_log(log, "letters", str), print)
        LogEntry(id='1-1', item='a')
        LogEntry(id='1-2', item='b')
        LogEntry(id='1-2', item='b')
    """
    if not isinstance(log, EventLog):
        raise ConfigurationError(f"log must be an rxagents.EventLog, not {log.__class__.__name__}.")
    checked_key(key)
    start = None if after is None else parse_id(after)
    try:
        decoder = decoder_of(type)
    except Exception as error:  # msgspec and typing raise many kinds
        raise ConfigurationError(f"Items cannot be read as {type!r}: {error}.") from error

    def subscribe(observer: abc.ObserverBase[LogEntry[Any]], scope: TimedScope) -> None:
        items_of = entries_of(key, decoder, has_events=type is StreamEvent)
        reader = LogReader(
            observer, scope, log.store, log.notifier(key), key, items_of, start, log.on_lost
        )
        reader.start()

    return timed(subscribe)
