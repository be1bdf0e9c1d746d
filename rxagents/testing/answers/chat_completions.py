"""Render replies in the format of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.core.usage import Usage
from rxagents.testing.answers.rendering import (
    SSE_COMMENT,
    SSE_CONTENT_TYPE,
    argument_pieces,
    sse_event,
)
from rxagents.testing.script import Reply, status_of, words

CONTENT_TYPE = SSE_CONTENT_TYPE
COMMENT = SSE_COMMENT
END = b"data: [DONE]\n\n"


def events(reply: Reply, model: str, stream_id: str) -> list[bytes]:
    """Return the reply's framed events, without the end marker."""
    common = {"id": stream_id, "object": "chat.completion.chunk", "created": 0, "model": model}
    return [sse_event({**common, **body}) for body in _bodies(reply)][: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error in the provider's format."""
    return {"error": {"message": message, "type": "error", "code": status}}


def _bodies(reply: Reply) -> Iterator[dict[str, Any]]:
    yield _choice({"role": "assistant", "content": ""})
    for piece in words(reply.reasoning):
        yield _choice({"reasoning_content": piece})
    for piece in words(reply.refusal):
        yield _choice({"refusal": piece})
    for piece in reply.deltas():
        yield _choice({"content": piece})
    for index, call in enumerate(reply.tool_calls):
        function = {"name": call.name, "arguments": ""}
        yield _tool_call({"index": index, "id": call.id, "type": "function", "function": function})
        for piece in argument_pieces(call.arguments):
            yield _tool_call({"index": index, "function": {"arguments": piece}})
    if reply.error is not None:
        yield error_body(status_of(reply.error), str(reply.error))
        return
    yield _choice({}, reply.finish())
    if reply.usage is not None:
        yield {"choices": [], "usage": _usage(reply.usage)}


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    return _choice({"tool_calls": [call]})


def _usage(usage: Usage) -> dict[str, Any]:
    if usage.raw:
        return usage.raw
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
