"""Encode a run as Vercel's UI message stream."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from reactivex import Observable

from rxagents.operators._encoding import Encodable, encoded
from rxagents.operators._vercel import VercelEncoder
from rxagents.runtime.factories import operator_factory


@operator_factory
def encode_vercel(*, message_id: str = "") -> Callable[[Observable[Encodable]], Observable[bytes]]:
    r"""Encode a run as Vercel's UI message stream, version 1, for the body of a response.

    The page's `useChat` reads it. The response needs the header
    `x-vercel-ai-ui-message-stream: v1`. Tools are dynamic parts. The events of sub-agents are
    transient `data-subagent` parts, and a `Partial` is a `data-partial` part.

    .. marble::
        --S--T--T--A--C|
        [ encode_vercel() ]
        --s--t--t-----(fd)|
        legend: S = TurnStart, T = Token, A = Answer, C = Complete, f = finish, d = [DONE]

    Emits when: the source emits an event that the protocol has a kind for, and when it ends.
    Backpressures when: downstream does.
    Completes when: the source has completed or failed.

    Args:
        message_id: The id of the assistant's message; a new one by default.

    Returns:
        An operator from events or chunks to the bytes of events.

    Raises:
        ConfigurationError: In the stream, if an item is neither an event nor a chunk.

    Example:
        >>> import rxagents
        >>> from rxagents import operators as ops
        >>> from rxagents.testing import ScriptedLLM
        >>> stream = ScriptedLLM("Hi.").chat_stream("Hello.")
        >>> body = stream.pipe(ops.encode_vercel(message_id="m"))
        >>> _ = rxagents.run(body, lambda data: print(data[:21], data[-14:]))
        b'data: {"type":"start"' b'elta":"Hi."}\n\n'
        b'data: {"type":"text-e' b'data: [DONE]\n\n'
    """
    return encoded("encode_vercel", lambda: VercelEncoder(message_id or f"msg_{uuid.uuid4().hex}"))
