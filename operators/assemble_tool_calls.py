"""Tool calls, each as soon as it is whole."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk
from rxagents.core.messages import ToolCall
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.operators._chunks import not_a_chunk


def assemble_tool_calls(
    choice: int = 0,
) -> Callable[[Observable[StreamChunk]], Observable[ToolCall]]:
    """Emit each tool call when it is sealed; a call that was cut off is never emitted.

    A chunk that is a reset drops the calls that are not sealed yet.

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
        ConfigurationError: At once, if `choice` is not a number of 0 or more; in the stream, if
            the source emits anything but chunks. The source's errors pass. Whether the arguments
            are JSON is told by `ToolCall.parse`.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, ToolCallDelta, operators as ops
        >>> call = ToolCallDelta(0, "call_1", "add", '{"a": 1}', sealed=True)
        >>> chunks = rx.of(StreamChunk(tool_calls=(call,)))
        >>> chunks.pipe(ops.assemble_tool_calls()).subscribe(lambda call: print(call.name))
        add
        <...>
    """
    checked_choice(choice)

    def assemble_tool_calls_(source: Observable[StreamChunk]) -> Observable[ToolCall]:
        def subscribe(
            observer: abc.ObserverBase[ToolCall], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            assembler = ToolCallAssembler()

            def on_next(chunk: StreamChunk) -> None:
                nonlocal assembler
                try:
                    deltas = chunk.tool_calls if chunk.choice == choice else ()
                    is_reset = "reset" in chunk.metadata
                except AttributeError:
                    observer.on_error(not_a_chunk("assemble_tool_calls", chunk))
                    return
                if is_reset:
                    assembler = ToolCallAssembler()
                for delta in deltas:
                    call = assembler.add(delta)
                    if call is not None:
                        observer.on_next(call)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return assemble_tool_calls_
