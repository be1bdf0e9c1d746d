"""Assemble tool calls from their fragments."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.core.checks import checked_choice
from rxagents.core.chunks import StreamChunk
from rxagents.core.messages import ToolCall
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.factories import operator_factory


@operator_factory
def assemble_tool_calls(
    choice: int = 0,
) -> Callable[[Observable[StreamChunk]], Observable[ToolCall]]:
    """Emit each tool call when it is sealed; never emit a call that was cut off.

    A call is sealed when it is certain that no further fragment of it comes. A chunk that is a
    reset drops the calls that are not sealed yet.

    .. marble::
        --(add)--({"a":)--(1})--(sealed)--|
        [ assemble_tool_calls() ]
        ------------------------(add)-----|

    Emits when: a chunk seals a call.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        choice: Index of the choice to read, where the request asked for several.

    Returns:
        An operator from chunks to tool calls.

    Raises:
        ConfigurationError: On the call, if `choice` is not a whole number of 0 or more; in the
            stream, if the source emits anything but chunks. The source's errors pass. Arguments
            that are not JSON are no error here: `ToolCall.parse` raises then.

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
