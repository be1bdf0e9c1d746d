"""Meter the stream of a model that does not do so itself, such as one in process.

Theory of operation. A provider of this package meters each of its attempts. The stream of any other
model is metered here, as one attempt: it waits for the limiters, and is entered in the ledgers
while its chunks pass. Such a model may itself pass the request on to a provider of this package,
which meters its attempts and knows the price. So the limiters are hidden from what is inside, which
has waited already, and the ledgers are not: a `Probe` notes that the request was entered inside,
and then it is not entered here. What is outside gets each item under the outer metering again, so
that the tools which it starts wait for the limiters too.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import AgentError, RxAgentsError, StreamCancelledError
from rxagents.runtime.bridge import scheduler_on_loop
from rxagents.runtime.factories import core_of
from rxagents.runtime.loop import running_loop
from rxagents.runtime.metering.attempt import Attempt, ModelRequest, new_attempt
from rxagents.runtime.metering.metering import Metering, Probe, current_metering, under
from rxagents.runtime.reporting import as_exception
from rxagents.runtime.scope import TaskScope
from rxagents.runtime.stream import Stream
from rxagents.runtime.timed_scope import TimedScope, timed


def metered_stream(
    source: Observable[StreamChunk],
    request: ModelRequest,
    *,
    is_model: bool = True,
) -> Observable[StreamChunk]:
    """Return `source`, which waits for the limiters of its subscription, and is counted.

    Args:
        source: The chunks of one request; each subscription sends it anew.
        request: The request.
        is_model: Whether the source is the model itself, which passes no request on.
    """

    def subscribe(
        observer: abc.ObserverBase[StreamChunk], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        attempt = new_attempt(request)
        if attempt is None:
            # `source.subscribe` would put one more observer before each item.
            passed: abc.DisposableBase = core_of(source)(observer, scheduler)
            return passed

        def start(observer: abc.ObserverBase[StreamChunk], scope: TimedScope) -> None:
            _Metered(attempt, is_model, observer, scope).start(source)

        return timed(start).subscribe(observer, scheduler=scheduler)

    return Stream(subscribe)


class _Metered:
    """One subscription of a metered stream."""

    def __init__(
        self,
        attempt: Attempt,
        is_model: bool,
        observer: abc.ObserverBase[StreamChunk],
        scope: TimedScope,
    ) -> None:
        self._attempt = attempt
        self._observer = observer
        self._scope = scope
        self._probe = Probe()
        self._is_entered = False
        self._is_model = is_model
        self._is_sent = False
        self._has_ended = False
        self._outer = outer = current_metering()
        self._inner = outer
        if not is_model:
            self._inner = Metering((), outer.ledgers, outer.context, (*outer.probes, self._probe))

    def start(self, source: Observable[StreamChunk]) -> None:
        """Wait for the limiters, and then subscribe to `source`."""
        scope = self._scope
        scope.hold(Disposable(lambda: self._end(None)))

        def begin() -> None:
            if not self._attempt.waits:
                send()
                return
            tasks = TaskScope(running_loop())
            scope.hold(tasks)
            tasks.start(self._attempt.wait()).add_done_callback(waited)

        def waited(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                if not scope.is_disposed:
                    self._fail(StreamCancelledError("The wait for a limiter was cancelled."))
            elif (error := task.exception()) is not None:
                scope.run(lambda: self._fail(as_exception(error)))
            elif scope.is_disposed:
                self._attempt.give_back()
            else:
                scope.run(send)

        def send() -> None:
            scope.scheduler = scheduler_on_loop(scope.scheduler)
            self._is_sent = True
            if self._is_model and not self._entered():
                return
            with under(self._inner):
                scope.subscribe(source, self._on_next, self._fail, self._complete)

        scope.timer(begin).start(0)

    def _entered(self) -> bool:
        """Enter the request; return `False` if that failed, and the stream with it."""
        self._is_entered = True
        try:
            self._attempt.enter()
        except RxAgentsError as error:
            self._fail(error)
            return False
        return True

    def _on_next(self, chunk: StreamChunk) -> None:
        attempt = self._attempt
        if not self._is_entered and not self._probe.is_metered and not self._entered():
            return
        attempt.add((chunk,))
        attempt.is_complete = attempt.is_complete or bool(chunk.finish_reason)
        if self._is_model:
            self._observer.on_next(chunk)
        else:
            with under(self._outer):
                self._observer.on_next(chunk)
        if not attempt.is_complete:
            try:
                attempt.check()
            except AgentError as error:
                self._scope.dispose()
                self._observer.on_error(error)

    def _fail(self, error: Exception) -> None:
        self._end(error)
        with under(self._outer):
            self._observer.on_error(error)
        self._scope.dispose()

    def _complete(self) -> None:
        self._end(None)
        with under(self._outer):
            self._observer.on_completed()

    def _end(self, error: Exception | None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if not self._is_sent:
            self._attempt.give_back()
            return
        if not self._is_entered and not self._probe.is_metered:
            with suppress(RxAgentsError):  # a budget that is used up has stopped the stream
                self._attempt.enter()
        self._attempt.end(error)
