"""Ask for a structured answer, and read it while it streams.

Theory of operation. Only runs with an `output_type` have these operators in the pipe of a turn;
the others pay nothing for them. `read_answer` stands before the tools run. It passes everything on
but the call that is the answer: its arguments become tokens, as if the model had written them. It
adds `Partial` events.

When a part of the answer has closed that does not match its type, `read_answer` disposes the
request and completes. The tools that run go on to their ends, as after any response, and then the
turn ends: the agent adds what was written, and the correction (`BaseAgent._end_turn`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reactivex as rx
from msgspec import UNSET
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.agents.model_stream import model_stream
from rxagents.agents.turn import Turn
from rxagents.agents.typed_turn import TypedTurn
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import AgentError
from rxagents.core.events import Answer, Partial, Reset, Token
from rxagents.core.output_request import OutputRequest
from rxagents.core.protocols import StreamingLLM
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import Tool


def ask_for_answer(
    llm: StreamingLLM,
    turn: Turn,
    typed: TypedTurn,
    tools: tuple[Tool, ...],
    settings: SettingsArguments,
) -> Observable[StreamChunk]:
    """Ask a model for tool calls or an answer of the run's type.

    A host that refuses the form of the request is asked in another form.
    """
    run = turn.run
    assert run.parts is not None, "the run has an output_type"
    # A last turn has tools only for Anthropic's API, which takes a format beside them.
    is_apart = turn.is_last and not getattr(llm, "takes_format_with_tools", True)

    def ask(request: OutputRequest[object]) -> Observable[StreamChunk]:
        typed.request = request

        def ask_otherwise(error: Exception, _: object) -> Observable[StreamChunk]:
            response = turn.response()
            has_come = response.content or response.reasoning or response.tool_calls
            other = None if has_come else request.after(error)
            return rx.throw(error) if other is None else ask(other)

        sent = () if is_apart and request.mode == "native" else tools
        messages = request.messages(run.messages)
        chunks = llm.chat_stream(messages, request.tools(sent), **request.settings(settings))
        chunks = model_stream(llm, chunks, messages, sent)
        return chunks.pipe(rx_ops.catch(ask_otherwise))

    return ask(OutputRequest(run.parts.output, llm, has_tools=bool(tools) and not turn.is_last))


def read_answer(turn: Turn, typed: TypedTurn) -> Callable[[Observable[Any]], Observable[Any]]:
    """Read the answer; add partial objects; end the response when a part of it is refused.

    The items are the chunks of a model, or the steps of a text protocol.
    """

    def read_answer_(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            subscription = SingleAssignmentDisposable()
            emit = observer.on_next

            def on_next(item: object) -> None:
                text = ""
                timestamp = 0.0
                if isinstance(item, StreamChunk):
                    timestamp = item.timestamp
                    if "reset" in item.metadata:
                        typed.restart()
                        emit(item)
                    elif item.choice:
                        emit(item)
                    else:
                        rest, text = typed.without_answer(item)
                        if rest is not None:
                            emit(rest)
                        if rest is not item and text:
                            emit(Token(text, "", timestamp))
                elif isinstance(item, Answer):
                    hold(item)
                else:
                    if isinstance(item, Reset):
                        typed.restart()
                    elif isinstance(item, Token) and item.section == "answer":
                        text, timestamp = item.content, item.timestamp
                    emit(item)
                if text:
                    read(text, timestamp)

            def hold(answer: Answer) -> None:
                """Note the answer of a text protocol; it is emitted when it was checked."""
                try:
                    turn.note(answer)
                except AgentError as error:
                    observer.on_error(error)

            def read(text: str, timestamp: float) -> None:
                partial = typed.take(text)
                if partial is not UNSET:
                    emit(Partial(partial, timestamp))
                if typed.error is not None:
                    subscription.dispose()
                    observer.on_completed()

            subscription.disposable = source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )
            return subscription

        return Observable(subscribe)

    return read_answer_
