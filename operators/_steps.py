"""Read the steps of the ReAct protocol from chunks, and from texts between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Answer, Reasoning, Reset, Thought, Token
from rxagents.core.finish_reasons import is_whole_text
from rxagents.core.messages import ToolCall
from rxagents.core.tools import ToolLike, to_tools
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.direct import subscribe_directly

Step: TypeAlias = Token | Reasoning | Thought | ToolCall | Answer | Reset


def steps_in(
    tools: Sequence[ToolLike], *, texts: bool = False
) -> Callable[[Observable[Any]], Observable[Step]]:
    """Return the operator `scan_steps`.

    Args:
        tools: See `scan_steps`.
        texts: Whether an item may be a `str`, the text of a chunk that has nothing else and
            has the timestamp of the chunk before it.
    """
    from rxagents.parsing.react import ReActParser  # 9 ms, which only ReAct needs

    parameters = {
        tool.name: tuple(tool.parameters.get("properties", ())) for tool in to_tools(tools)
    }

    def scan_steps_(source: Observable[Any]) -> Observable[Step]:
        def subscribe(
            observer: abc.ObserverBase[Step], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            parser, timestamp, finish_reason = ReActParser(parameters), 0.0, ""
            emit = observer.on_next

            def read(text: str) -> None:
                certain = parser.feed_text(text)
                if certain:
                    emit(Token(certain, parser.section, timestamp))
                elif certain is None:
                    for step in parser.feed(text, timestamp):
                        emit(step)

            def on_next(chunk: StreamChunk | str) -> None:
                nonlocal parser, timestamp, finish_reason
                if texts and type(chunk) is str:
                    read(chunk)
                    if parser.done:
                        observer.on_completed()
                    return
                if type(chunk) is not StreamChunk:
                    observer.on_error(not_a_chunk("scan_steps", chunk))
                    return
                timestamp = chunk.timestamp
                if "reset" in chunk.metadata:
                    parser, finish_reason = ReActParser(parameters), ""
                    emit(Reset(chunk.metadata["reset"]))
                elif chunk.choice == 0:
                    if chunk.reasoning:
                        emit(Reasoning(chunk.reasoning, timestamp))
                    if chunk.delta:
                        read(chunk.delta)
                    if chunk.refusal:
                        emit(Token(chunk.refusal, "refusal", timestamp))
                    if chunk.finish_reason:
                        finish_reason = chunk.finish_reason
                    if parser.done:
                        observer.on_completed()

            def on_completed() -> None:
                for step in parser.flush(timestamp, is_cut=not is_whole_text(finish_reason)):
                    emit(step)
                observer.on_completed()

            return subscribe_directly(source, on_next, observer.on_error, on_completed, scheduler)

        return Observable(subscribe)

    return scan_steps_
