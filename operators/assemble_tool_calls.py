"""Tool calls, each as soon as it is whole."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.messages import ToolCall
from rxagents.core.tool_calls import ToolCallAssembler


def assemble_tool_calls(
    choice: int = 0,
) -> Callable[[Observable[StreamChunk]], Observable[ToolCall]]:
    """Emit each tool call when it is sealed; a call that was cut off is never emitted.

    .. marble::
        --(add)--({"a":)--(1})--(sealed)--|
        [ assemble_tool_calls() ]
        ------------------------add-------|

    Emits when: a chunk seals a call.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        choice: Which of the answers, where several were asked for.

    Returns:
        An operator from chunks to tool calls.

    Raises:
        Nothing of its own; the source's errors pass. Whether the arguments are JSON is told by
        `ToolCall.parse`.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, ToolCallDelta, operators as ops
        >>> call = ToolCallDelta(0, "call_1", "add", '{"a": 1}', sealed=True)
        >>> chunks = rx.of(StreamChunk(tool_calls=(call,)))
        >>> chunks.pipe(ops.assemble_tool_calls()).subscribe(lambda call: print(call.name))
        add
        <...>
    """

    def assemble_tool_calls_(source: Observable[StreamChunk]) -> Observable[ToolCall]:
        def subscribe(
            observer: abc.ObserverBase[ToolCall], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            assembler = ToolCallAssembler()

            def on_next(chunk: StreamChunk) -> None:
                if not chunk.tool_calls or chunk.choice != choice:
                    return
                for delta in chunk.tool_calls:
                    call = assembler.add(delta)
                    if call is not None:
                        observer.on_next(call)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return assemble_tool_calls_
