"""Encode a run as the events of the AG-UI protocol."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from reactivex import Observable

from rxagents.operators._agui import AGUIEncoder
from rxagents.operators._encoding import Encodable, encoded
from rxagents.runtime.factories import operator_factory


@operator_factory
def encode_agui(
    *, thread_id: str = "", run_id: str = ""
) -> Callable[[Observable[Encodable]], Observable[bytes]]:
    """Encode a run as server-sent events of AG-UI 1.0, for the body of a response.

    Turns are steps, and sub-agents are AG-UI's sub-agents. A `Partial` is a state snapshot.
    `Reset`, `ToolProgress`, `ApprovalRequest`, `ApprovalAnswer` and `MessageOutcome` are custom
    events under the names of their types. A failed stream ends with `RUN_ERROR`.

    .. marble::
        --S--T--T--A--C|
        [ encode_agui() ]
        --s--t--t-----f|
        legend: S = TurnStart, T = Token, A = Answer, C = Complete, f = RUN_FINISHED

    Emits when: the source emits an event that AG-UI has a kind for, and when it fails.
    Backpressures when: downstream does.
    Completes when: the source has completed or failed.

    Args:
        thread_id: The id of the conversation, as in the client's request; a new one by default.
        run_id: The id of the run, as in the client's request; a new one by default.

    Returns:
        An operator from events or chunks to the bytes of events.

    Raises:
        ConfigurationError: In the stream, if an item is neither an event nor a chunk.

    Example:
        >>> import rxagents
        >>> from rxagents import operators as ops
        >>> from rxagents.testing import ScriptedLLM
        >>> agent = rxagents.FunctionAgent(ScriptedLLM("Hi."))
        >>> body = agent.run_stream("Hello.").pipe(ops.encode_agui(thread_id="t", run_id="r"))
        >>> _ = rxagents.run(body, lambda data: print(data[:21]))
        b'data: {"type":"RUN_ST'
        b'data: {"type":"TEXT_M'
        b'data: {"type":"TEXT_M'
        b'data: {"type":"RUN_FI'
    """
    return encoded(
        "encode_agui",
        lambda: AGUIEncoder(
            thread_id or f"thread_{uuid.uuid4().hex}", run_id or f"run_{uuid.uuid4().hex}"
        ),
    )
