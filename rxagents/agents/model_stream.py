"""Meter and trace the requests of a model that does not do so itself."""

from __future__ import annotations

from collections.abc import Sequence

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.messages import Message
from rxagents.core.protocols import StreamingLLM
from rxagents.core.tools import Tool
from rxagents.runtime.listening import ModelCall, OtherStream, listened
from rxagents.runtime.metering.attempt import ModelRequest
from rxagents.runtime.metering.metered_stream import metered_stream


def model_stream(
    llm: StreamingLLM,
    chunks: Observable[StreamChunk],
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
) -> Observable[StreamChunk]:
    """Return `chunks` of a model, so that limiters, budgets and listeners of a run see them.

    Args:
        llm: The model.
        chunks: The stream of one request.
        messages: The messages of the request.
        tools: The tools of the request.
    """
    if getattr(llm, "is_metered", False) or not isinstance(chunks, Observable):
        return chunks
    model = getattr(llm, "model", None)
    name = model if isinstance(model, str) else type(llm).__name__
    request = ModelRequest(type(llm).__name__, name, None, tuple(messages), tuple(tools))
    metered = metered_stream(chunks, request, is_model=False)

    def describe() -> OtherStream:
        provider = getattr(llm, "name", None)
        kind = provider if isinstance(provider, str) else type(llm).__name__
        return OtherStream(call=ModelCall(kind, name, messages, tools))

    return listened(lambda _: metered, describe)
