"""Read the chunks of one turn, and convert them to events.

Theory of operation. A turn's pipe is `read_chunks`, the agent's own operators, and `to_events`.
Nearly every chunk is a piece of text, so each of them has that case first, and none puts an
observer of reactivex between (`runtime/direct.py`):

- `read_chunks` adds the chunk to the response and, where the chunk's text is the model's answer as
  it is, makes its `Token`. If a read of the model's stream brings many texts, no chunks are made
  of them (`ByRead`); the first one is, since it has their metadata, usage and timestamp. A text is
  added to the response when it is emitted: a run that is stopped between two of them has the text
  that its subscriber has seen.
- `to_events` emits a `Token` at once. Everything else goes through `run_tools`, and is then mapped
  and noted. Both in one operator: split in three, each token cost 0.5 us more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxagents.agents.turn import Turn
from rxagents.agents.turns import Events
from rxagents.core.chunk_events import events_of
from rxagents.core.chunks import StreamChunk, TextBurst
from rxagents.core.errors import AgentError, ConfigurationError
from rxagents.core.events import StreamEvent, Token, TurnStart
from rxagents.core.messages import ToolCall
from rxagents.runtime.direct import subscribe_directly
from rxagents.runtime.stream import items_by_read


def read_chunks(
    turn: Turn, *, text_as: Literal["chunk", "text", "token"] = "chunk"
) -> Callable[[Observable[StreamChunk]], Observable[Any]]:
    """Add the chunks to the turn's response, and emit them.

    Args:
        turn: The turn that the chunks belong to.
        text_as: What to emit for a chunk that is nothing but text: itself; if the model need not
            make it, its text, which has the timestamp of the chunk before it; or its `Token`.

    Returns:
        An operator that fails with `ConfigurationError` if an item is no `StreamChunk`.
    """

    def read_chunks_(source: Observable[StreamChunk]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            emit, add = observer.on_next, turn.response_builder.add
            builder = turn.response_builder
            is_over = False  # a user's model may emit after its end
            as_tokens = text_as == "token"
            timestamp = 0.0

            def on_next(item: StreamChunk | str) -> None:
                nonlocal timestamp
                if is_over:
                    return
                if type(item) is str and takes_texts:
                    builder.content.append(item)
                    emit(Token(item, "", timestamp) if as_tokens else item)
                elif type(item) is not StreamChunk:
                    fail(_not_a_chunk(item))
                else:
                    timestamp = item.timestamp
                    if add(item) and as_tokens:
                        emit(Token(item.delta, "", timestamp))
                    else:
                        emit(item)

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

            texts = None if text_as == "chunk" else items_by_read(source, _texts_of_bursts)
            takes_texts = texts is not None
            items: Observable[Any] = source if texts is None else texts
            subscription = subscribe_directly(items, on_next, fail, complete, scheduler)
            return Disposable(end)

        return Observable(subscribe)

    return read_chunks_


def _texts_of_bursts(chunks: list[StreamChunk]) -> list[StreamChunk | str]:
    """Return the chunks of a read; of a burst the first chunk, and then its texts."""
    items: list[StreamChunk | str] = []
    for chunk in chunks:
        if type(chunk) is not TextBurst:
            items.append(chunk)
            continue
        first, *rest = chunk.deltas
        items.append(
            StreamChunk(
                first,
                chunk.index,
                chunk.choice,
                usage=chunk.usage,
                metadata=chunk.metadata,
                timestamp=chunk.timestamp,
            )
        )
        if chunk.choice == 0:
            items += rest
    return items


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
