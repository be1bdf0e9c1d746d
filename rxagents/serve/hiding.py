"""Hide from clients what the code of an agent says when it fails."""

from __future__ import annotations

import logging

from msgspec.structs import replace
from reactivex import Observable, abc

from rxagents.core.errors import RxAgentsError
from rxagents.core.events import ErrorEvent, ErrorInfo, StreamEvent
from rxagents.runtime.factories import Callbacks, core_of
from rxagents.serve.failures import message_of

_log = logging.getLogger("rxagents.serve")


def hide_internals(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
    """Replace the message of a failure, unless it is an error of this library; log the original.

    The `ErrorEvent` of a run comes before its `on_error`, so its message is replaced by its kind.
    """

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        def on_next(event: StreamEvent) -> None:
            if isinstance(event, ErrorEvent) and _is_foreign(event.error):
                hidden = ErrorInfo("RxAgentsError", message_of(Exception()))
                event = replace(event, error=hidden)
            observer.on_next(event)

        def on_error(error: Exception) -> None:
            if not isinstance(error, RxAgentsError):
                _log.error("An agent failed: %s", type(error).__name__, exc_info=error)
                error = RxAgentsError(message_of(error))
            observer.on_error(error)

        callbacks = Callbacks(on_next, on_error, observer.on_completed)
        subscription: abc.DisposableBase = core_of(source)(callbacks, scheduler)
        return subscription

    return Observable(subscribe)


def _is_foreign(info: ErrorInfo) -> bool:
    """Return whether no error of this library has this name: `exception` names the kind then."""
    return type(info.exception()).__name__ != info.kind
