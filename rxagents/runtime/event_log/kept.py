"""Write a stream to an event log while it passes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import StorageError
from rxagents.runtime.bridge import bridge_of
from rxagents.runtime.event_log.calls import call
from rxagents.runtime.event_log.log_store import Saved
from rxagents.runtime.event_log.log_writer import LogWriter
from rxagents.runtime.event_log.read_checkpoint import read_checkpoint
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.timed_scope import TimedScope, timed

if TYPE_CHECKING:
    from rxagents.runtime.event_log.event_log import EventLog

T = TypeVar("T")


def kept(
    log: EventLog,
    key: str | Callable[[], str],
    source: Observable[T],
    on_writer: Callable[[LogWriter[T]], None] | None = None,
    on_begun: Callable[[], None] = lambda: None,
    request: object = None,
    *,
    is_durable: bool = False,
) -> Observable[T]:
    """Return an Observable that passes a stream on and writes it; see `ops.persist`.

    Args:
        log: The event log.
        key: The key of the run, or a function that returns one for each subscription.
        source: The stream.
        on_writer: Called with the writer of a subscription, which then slows the source down.
        on_begun: Called when the log has given the run an attempt.
        request: What the run was asked, for its checkpoints.
        is_durable: Whether the run goes on from the checkpoint of the attempt before.
    """

    def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
        name = key() if callable(key) else key
        slows_source = on_writer is not None
        writer = LogWriter[T](log, name, scope, observer.on_error, slows_source=slows_source)
        if on_writer is not None:
            on_writer(writer)
        write, emit = writer.append, observer.on_next

        def on_next(item: T) -> None:
            write(item)
            emit(item)

        def on_error(error: Exception) -> None:
            def fail(failure: Exception) -> None:
                report_harmless(failure, f"The end of the run {name!r} could not be stored")
                observer.on_error(error)

            writer.end(writer.end_of(error), partial(observer.on_error, error), fail)

        def on_completed() -> None:
            writer.end(writer.end_of(None), observer.on_completed, observer.on_error)

        def start() -> None:
            if not is_durable:
                begin(None)
                return
            call(lambda: log.store.saved(name), begin, fail_to_start)

        def fail_to_start(error: Exception) -> None:
            writer.end(writer.end_of(error), partial(observer.on_error, error), observer.on_error)

        def begin(saved: Saved | None) -> None:
            if writer.state != "open":
                return  # disposed while the store worked
            try:
                writer.checkpoints.previous = read_checkpoint(name, saved)
            except StorageError as error:
                fail_to_start(error)
                return
            writer.checkpoints.is_durable = is_durable
            writer.checkpoints.request = request
            writer.checkpoints.begin()
            on_begun()
            with writer.checkpoints.entered():
                scope.subscribe(source, on_next, on_error, on_completed)

        scope.hold(Disposable(writer.dispose))
        bridge = bridge_of(scope.scheduler)
        if bridge is not None:
            bridge.adopt(writer.closed)
            writer.closed.then(partial(bridge.release, writer.closed))
        writer.begin(start)

    return timed(subscribe)
