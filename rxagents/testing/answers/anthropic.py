"""Render replies in the format of Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.testing.answers.rendering import (
    SSE_COMMENT,
    SSE_CONTENT_TYPE,
    argument_pieces,
    named_sse_event,
)
from rxagents.testing.script import Reply, status_of, words

CONTENT_TYPE = SSE_CONTENT_TYPE
COMMENT = SSE_COMMENT
END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def events(reply: Reply, model: str, stream_id: str) -> list[bytes]:
    """Return the reply's framed events, without the end marker."""
    bodies = _bodies(reply, model, stream_id)
    return [named_sse_event(body) for body in bodies][: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error in the provider's format."""
    error = {"type": _KINDS.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error}


def _bodies(reply: Reply, model: str, stream_id: str) -> Iterator[dict[str, Any]]:
    usage = reply.usage
    counts = {"input_tokens": usage.input_tokens, "output_tokens": 1} if usage else {}
    message = {"id": stream_id, "type": "message", "role": "assistant", "model": model}
    yield {"type": "message_start", "message": {**message, "content": [], "usage": counts}}
    for index, (block, deltas) in enumerate(_blocks(reply)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if reply.error is not None:
        yield error_body(status_of(reply.error), str(reply.error))
        return
    finish = reply.finish()
    totals = {"output_tokens": usage.output_tokens} if usage else {}
    if usage is not None and usage.cached_tokens is not None:
        totals["cache_read_input_tokens"] = usage.cached_tokens
    delta = {"stop_reason": _STOP_REASONS.get(finish, finish), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": totals}


def _blocks(reply: Reply) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if reply.reasoning:
        thinking = [{"type": "thinking_delta", "thinking": word} for word in words(reply.reasoning)]
        signed = [*thinking, {"type": "signature_delta", "signature": "c2lnbmVk"}]
        yield {"type": "thinking", "thinking": "", "signature": ""}, signed
    texts = [*words(reply.refusal), *reply.deltas()]
    if texts:
        deltas = [{"type": "text_delta", "text": text} for text in texts]
        yield {"type": "text", "text": ""}, deltas
    for call in reply.tool_calls:
        pieces = argument_pieces(call.arguments)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, deltas
