"""The loop that all agents share: turn after turn, until there is an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import reactivex as rx
from reactivex import Observable, abc

from rxagents.agents.run import Run, Turn
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import AgentError, RunLimitError
from rxagents.core.events import ErrorEvent, ErrorInfo, Reasoning, Reset, StreamEvent, Token
from rxagents.runtime.timed_scope import TimedScope, timed

Events: TypeAlias = Observable[StreamEvent]


def run_turns(run: Run, turn: Callable[[Turn], Events], first: Events | None = None) -> Events:
    """Concatenate turns until the run has its output, and complete it.

    A generator makes each turn when the one before has completed: no recursion, and a turn
    costs the same however many came before.

    Args:
        run: A new run.
        turn: Makes the stream of one turn's events.
        first: What comes before the turns.

    Returns:
        The run's events; a run that fails ends with an `ErrorEvent` and then its error.
    """

    def turns() -> Iterator[Events]:
        if first is not None:
            yield first
        while run.output is None:
            yield turn(run.begin_turn())
        yield rx.just(run.complete())

    return _framed(rx.concat_with_iterable(turns()), run.limits.seconds)


def to_events(
    turn: Turn, conclude: Callable[[Turn], Iterable[StreamEvent]]
) -> Callable[[Observable[StreamChunk | StreamEvent]], Events]:
    """Make tokens of chunks, note what the run needs to go on, and conclude the turn.

    Args:
        turn: Takes the events.
        conclude: Called when the turn is over; what it returns are its last events.

    Returns:
        An operator that fails where a limit is reached, and with what `conclude` raises.
    """

    def to_events_(source: Observable[StreamChunk | StreamEvent]) -> Events:
        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            emit = observer.on_next

            def on_next(item: StreamChunk | StreamEvent) -> None:
                if isinstance(item, Token):
                    emit(item)
                elif not isinstance(item, StreamChunk):
                    emit_noted(item)
                elif item.delta and not (item.reasoning or item.refusal or item.choice):
                    emit(Token(item.delta, "", item.timestamp))
                else:
                    for event in _events_of(item):
                        emit_noted(event)

            def emit_noted(event: StreamEvent) -> None:
                try:
                    turn.note(event)
                except AgentError as error:
                    observer.on_error(error)
                    return
                emit(event)

            def on_completed() -> None:
                try:
                    events = tuple(conclude(turn))
                except AgentError as error:
                    observer.on_error(error)
                    return
                for event in events:
                    emit(event)
                observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return to_events_


def _events_of(chunk: StreamChunk) -> Iterator[StreamEvent]:
    if "reset" in chunk.metadata:
        yield Reset(chunk.metadata["reset"])
    elif chunk.choice == 0:
        if chunk.reasoning:
            yield Reasoning(chunk.reasoning, chunk.timestamp)
        if chunk.delta:
            yield Token(chunk.delta, "", chunk.timestamp)
        if chunk.refusal:
            yield Token(chunk.refusal, "refusal", chunk.timestamp)


def _framed(source: Events, seconds: float | None) -> Events:
    """Begin on the loop, and not inside of `subscribe`; end after `seconds`; tell errors twice.

    The `ErrorEvent` before the error is for logs of events.
    """

    def subscribe(observer: abc.ObserverBase[StreamEvent], scope: TimedScope) -> None:
        def begin() -> None:
            scope.subscribe(source, observer.on_next, fail, observer.on_completed)

        def fail(error: Exception) -> None:
            observer.on_next(ErrorEvent(ErrorInfo.of(error)))
            observer.on_error(error)

        def expire() -> None:
            scope.dispose()
            fail(RunLimitError(f"The run has taken its {seconds} seconds. Raise max_seconds."))

        scope.timer(begin).start(0)
        if seconds is not None:
            scope.timer(expire).start(seconds)

    return timed(subscribe)
