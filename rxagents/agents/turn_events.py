"""Read the chunks of one turn, and convert them to events.

Theory of operation. A turn's pipe is `read_chunks`, the agent's own operators, and `to_events`.
Nearly every chunk is a piece of text, so each of them has that case first, and none puts an
observer of reactivex between (`runtime/direct.py`):

- `read_chunks` adds the chunk to the response and, where the chunk's text is the model's answer as
  it is, makes its `Token`.
- `to_events` emits a `Token` at once. Everything else goes through `run_tools`, and is then mapped
  and noted. Both in one operator: split in three, each token cost 0.5 us more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxagents.agents.turn import Turn
from rxagents.agents.turns import Events
from rxagents.core.chunk_events import events_of
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import AgentError, ConfigurationError
from rxagents.core.events import StreamEvent, Token, TurnStart
from rxagents.core.messages import ToolCall
from rxagents.runtime.direct import subscribe_directly


def read_chunks(
    turn: Turn, *, as_tokens: bool = False
) -> Callable[[Observable[StreamChunk]], Observable[Any]]:
    """Add the chunks to the turn's response, and emit them.

    Args:
        turn: The turn that the chunks belong to.
        as_tokens: Whether a chunk that is nothing but text is emitted as its `Token`.

    Returns:
        An operator that fails with `ConfigurationError` if an item is no `StreamChunk`.
    """

    def read_chunks_(source: Observable[StreamChunk]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            emit, add = observer.on_next, turn.response_builder.add
            is_over = False  # a user's model may emit after its end

            def on_next(chunk: StreamChunk) -> None:
                if is_over:
                    return
                if type(chunk) is not StreamChunk:
                    fail(_not_a_chunk(chunk))
                elif add(chunk) and as_tokens:
                    emit(Token(chunk.delta, "", chunk.timestamp))
                else:
                    emit(chunk)

            def fail(error: Exception) -> None:
                nonlocal is_over
                is_over = True
                observer.on_error(error)

            def complete() -> None:
                nonlocal is_over
                is_over = True
                observer.on_completed()

            def end() -> None:
                nonlocal is_over
                is_over = True
                subscription.dispose()

            subscription = subscribe_directly(source, on_next, fail, complete, scheduler)
            return Disposable(end)

        return Observable(subscribe)

    return read_chunks_


def _not_a_chunk(item: object) -> ConfigurationError:
    return ConfigurationError(
        f"The agent's llm must stream StreamChunks, not {type(item).__name__}."
    )


def to_events(
    turn: Turn,
    run_tools: Callable[[Observable[Any]], Observable[StreamChunk | StreamEvent]] | None = None,
) -> Callable[[Observable[StreamChunk | StreamEvent | ToolCall]], Events]:
    """Run tools, map chunks to events, and note in `turn` the events that its end depends on.

    Args:
        turn: The turn that the chunks belong to.
        run_tools: Runs the calls; `None` if the items have none.

    Returns:
        An operator that fails when a limit of the run is reached.
    """

    def to_events_(source: Observable[StreamChunk | StreamEvent | ToolCall]) -> Events:
        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            emit = observer.on_next
            control = turn.run.control
            subscription = SingleAssignmentDisposable()
            is_over = False

            def interrupt() -> None:
                nonlocal is_over
                is_over = turn.is_interrupted = True
                subscription.dispose()
                observer.on_completed()

            def end() -> None:
                nonlocal is_over
                is_over = True
                control.set_interrupt(None)
                subscription.dispose()

            def on_next(item: StreamChunk | StreamEvent) -> None:
                if is_over:
                    return
                if type(item) is Token:
                    emit(item)
                elif not isinstance(item, StreamChunk):
                    emit_noted(item)
                elif item.delta and not (item.reasoning or item.refusal or item.choice):
                    emit(Token(item.delta, "", item.timestamp))
                else:
                    for event in events_of(item):
                        if not is_over:  # a subscriber may stop the run at any event
                            emit_noted(event)

            def emit_noted(event: StreamEvent) -> None:
                try:
                    turn.note(event)
                except AgentError as error:
                    if turn.run.answers_at(error):
                        interrupt()
                    else:
                        observer.on_error(error)
                    return
                emit(event)

            def interrupt_start() -> None:
                turn.is_interrupted = True

            def without_tokens(
                others: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                pass_on = others.on_next

                def on_item(item: StreamChunk | StreamEvent | ToolCall) -> None:
                    if type(item) is not Token:
                        pass_on(item)
                    elif not is_over:
                        emit(item)

                return subscribe_directly(
                    source, on_item, others.on_error, others.on_completed, scheduler
                )

            if not turn.is_resumed:
                control.set_interrupt(interrupt_start)  # a subscriber may stop the run here
                emit(TurnStart(turn.number))
            if turn.is_interrupted:
                observer.on_completed()
                return Disposable(end)
            turn.is_sent = True
            control.set_interrupt(interrupt)
            items: Observable[Any] = source
            if run_tools is not None:
                items = run_tools(Observable(without_tokens))
            subscription.disposable = subscribe_directly(
                items, on_next, observer.on_error, observer.on_completed, scheduler
            )
            return Disposable(end)

        return Observable(subscribe)

    return to_events_
