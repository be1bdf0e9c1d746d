"""Render replies in the format of Gemini's streamGenerateContent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.core.usage import Usage
from rxagents.testing.answers.rendering import SSE_CONTENT_TYPE, sse_event
from rxagents.testing.script import Reply, status_of, words

CONTENT_TYPE = SSE_CONTENT_TYPE
COMMENT = b": still here\r\n\r\n"
END = b""
"""The wire has no end marker."""

_FINISH_REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}
_KINDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def events(reply: Reply, model: str, stream_id: str) -> list[bytes]:
    """Return the reply's framed events."""
    common = {"modelVersion": model, "responseId": stream_id}
    framed = [sse_event({**body, **common}, b"\r\n") for body in _bodies(reply)]
    return framed[: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error in the provider's format."""
    error = {"code": status, "message": message, "status": _KINDS.get(status, "INTERNAL")}
    return {"error": error}


def _bodies(reply: Reply) -> Iterator[dict[str, Any]]:
    for word in words(reply.reasoning):
        yield _candidate([{"text": word, "thought": True}])
    for text in [*words(reply.refusal), *reply.deltas()]:
        yield _candidate([{"text": text}])
    for call in reply.tool_calls:
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.parse()}}
        yield _candidate([{**part, "thoughtSignature": "c2lnbmVk"}])
    if reply.error is not None:
        yield error_body(status_of(reply.error), str(reply.error))
        return
    finish = reply.finish()
    last = _candidate([{"text": ""}], _FINISH_REASONS.get(finish, finish))
    yield {**last, "usageMetadata": _usage(reply.usage)} if reply.usage else last


def _candidate(parts: list[dict[str, Any]], finish: str = "") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    return {"candidates": [{**candidate, "finishReason": finish} if finish else candidate]}


def _usage(usage: Usage) -> dict[str, Any]:
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens,
        "totalTokenCount": usage.total_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
    }
    return usage.raw or {name: count for name, count in counts.items() if count is not None}
