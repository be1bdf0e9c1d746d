"""A reply as OpenAI's chat completions stream it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rxagents.core.usage import Usage
from rxagents.testing.script import Reply, words

CONTENT_TYPE = "text/event-stream"
END = b"data: [DONE]\n\n"
COMMENT = b": still here\n\n"


def events(reply: Reply, model: str, stream_id: str) -> list[bytes]:
    """Return the reply's events, framed, without the end marker."""
    common = {"id": stream_id, "object": "chat.completion.chunk", "created": 0, "model": model}
    framed = [_framed({**common, **body}) for body in _bodies(reply)]
    return framed if reply.cut_after is None else framed[: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error as the provider writes it."""
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
        for start in range(0, len(call.arguments), _ARGUMENT_PIECE):
            piece = call.arguments[start : start + _ARGUMENT_PIECE]
            yield _tool_call({"index": index, "function": {"arguments": piece}})
    if reply.error is not None:
        yield error_body(reply.error.status or 500, str(reply.error))
        return
    yield _choice({}, reply.finish())
    if reply.usage is not None:
        yield {"choices": [], "usage": _usage(reply.usage)}


_ARGUMENT_PIECE = 8
"""Characters of arguments in one event; providers cut about so."""


def _framed(body: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


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
