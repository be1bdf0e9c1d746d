"""Render replies in the format of OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.core.usage import Usage
from rxagents.testing.answers.rendering import (
    SSE_COMMENT,
    SSE_CONTENT_TYPE,
    argument_pieces,
    named_sse_event,
)
from rxagents.testing.script import Reply, status_of, words

CONTENT_TYPE = SSE_CONTENT_TYPE
COMMENT = SSE_COMMENT
END = b""
"""The wire has no end marker: the last event has the status of the response."""

_CODES = {
    400: "invalid_prompt",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "model_not_found",
    408: "timeout",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "service_unavailable",
    529: "overloaded",
}


def events(reply: Reply, model: str, stream_id: str) -> list[bytes]:
    """Return the reply's framed events."""
    framed = [
        named_sse_event({**body, "sequence_number": number})
        for number, body in enumerate(_bodies(reply, {"id": stream_id, "model": model}))
    ]
    return framed[: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error in the provider's format."""
    return {"error": {"message": message, "code": _CODES.get(status, "server_error")}}


def _bodies(reply: Reply, response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": {**response, "status": "in_progress"}}
    output: list[dict[str, Any]] = []
    for item in _items(reply):
        index = len(output)
        for event in _item_events(item):
            yield {"output_index": index, **event}
        output.append(item)
    if reply.error is not None:
        yield {"type": "error", **error_body(status_of(reply.error), str(reply.error))["error"]}
        return
    finish = reply.finish()
    last: dict[str, Any] = {**response, "output": output, "usage": _usage(reply.usage)}
    if finish in {"length", "content_filter"}:
        reason = {"length": "max_output_tokens"}.get(finish, finish)
        last |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        yield {"type": "response.incomplete", "response": last}
    else:
        yield {"type": "response.completed", "response": {**last, "status": "completed"}}


def _items(reply: Reply) -> Iterator[dict[str, Any]]:
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        secret = {"encrypted_content": "c2VjcmV0"}
        yield {"type": "reasoning", "id": "rs_1", "summary": summary, **secret}
    texts = reply.deltas()
    if texts or reply.refusal:
        kind, field = ("refusal", "refusal") if reply.refusal else ("output_text", "text")
        pieces = words(reply.refusal) if reply.refusal else texts
        content = [{"type": kind, field: "".join(pieces), "pieces": pieces}]
        yield {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
    for call in reply.tool_calls:
        named = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        yield {"type": "function_call", "id": f"fc_{call.id}", **named}


def _item_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of an output item: its start, its deltas and its end."""
    started = {**item, "status": "in_progress", "content": [], "summary": [], "arguments": ""}
    yield {"type": "response.output_item.added", "item": started}
    if item["type"] == "reasoning":
        for word in words(item["summary"][0]["text"]):
            yield {"type": "response.reasoning_summary_text.delta", "delta": word}
    elif item["type"] == "message":
        content = item["content"][0]
        for piece in content.pop("pieces"):
            yield {"type": f"response.{content['type']}.delta", "delta": piece}
    else:
        arguments = item["arguments"]
        for piece in argument_pieces(arguments):
            yield {"type": "response.function_call_arguments.delta", "delta": piece}
        yield {"type": "response.function_call_arguments.done", "arguments": arguments}
    yield {"type": "response.output_item.done", "item": {**item, "status": "completed"}}


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None or usage.raw:
        return usage.raw if usage else None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
