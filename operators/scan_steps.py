"""Parse the ReAct protocol from a model's text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Answer, Reasoning, Reset, Thought, Token
from rxagents.core.finish_reasons import is_whole_text
from rxagents.core.messages import ToolCall
from rxagents.core.tools import ToolLike, to_tools
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.direct import subscribe_directly
from rxagents.runtime.factories import operator_factory

Step: TypeAlias = Token | Reasoning | Thought | ToolCall | Answer | Reset


@operator_factory
def scan_steps(
    tools: Sequence[ToolLike] = (),
) -> Callable[[Observable[StreamChunk]], Observable[Step]]:
    r"""Parse thoughts, actions and the answer from text in the ReAct protocol.

    Each piece of text is a `Token` of its section (`"thought"`, `"action"` or `"answer"`) at
    once; a `Thought` comes when it is whole, a `ToolCall` with its last bracket, an `Answer` at
    the end. A refusal is not part of the protocol: it is a `Token` of the section `"refusal"`.
    When the model makes up an observation, parsing stops there and the source is disposed. If the
    finish reason is not that of a whole response, an action that only the end of the text completes
    is no call. The time is linear in the text, wherever it is split.

    .. marble::
        --(Thought: Easy.)--(\nAnswer: 3)------------|
        [ scan_steps() ]
        --(Token Easy.)-----(Thought)(Token 3)-------(Answer|)

    Emits when: text comes, and when it completes a step.
    Backpressures when: downstream does.
    Completes when: the source completes, or the model makes up an observation.

    Args:
        tools: Give the parameter names for arguments that the model writes without names:
            `add(1, 2)`.

    Returns:
        An operator from chunks to steps: `Token`, `Thought`, `ToolCall`, `Answer`; `Reasoning`
        for the model's own thinking; `Reset` where the stream started again.

    Raises:
        ConfigurationError: On the call, if `tools` holds something else; in the stream, if the
            source emits anything but chunks. The source's errors pass; an unfinished step is not
            emitted then.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> chunks = rx.of(StreamChunk("Thought: Easy.\nAnswer: "), StreamChunk("It is 3."))
        >>> steps = chunks.pipe(ops.scan_steps())
        >>> steps.subscribe(lambda step: print(type(step).__name__, step.content))
        Token Easy.
        Thought Easy.
        Token It is 3.
        Answer It is 3.
        <...>
    """
    from rxagents.parsing.react import ReActParser  # 9 ms, which only ReAct needs

    parameters = {
        tool.name: tuple(tool.parameters.get("properties", ())) for tool in to_tools(tools)
    }

    def scan_steps_(source: Observable[StreamChunk]) -> Observable[Step]:
        def subscribe(
            observer: abc.ObserverBase[Step], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            parser, timestamp, finish_reason = ReActParser(parameters), 0.0, ""
            emit = observer.on_next

            def on_next(chunk: StreamChunk) -> None:
                nonlocal parser, timestamp, finish_reason
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
                        text = parser.feed_text(chunk.delta)
                        if text:
                            emit(Token(text, parser.section, timestamp))
                        elif text is None:
                            for step in parser.feed(chunk.delta, timestamp):
                                emit(step)
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
