"""Parse the ReAct protocol from a model's text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.tools import ToolLike
from rxagents.operators._steps import Step, steps_in
from rxagents.runtime.factories import operator_factory


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
    return steps_in(tools)
