"""A reply as Gemini's streamGenerateContent sends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rxagents.core.usage import Usage
from rxagents.testing.script import Reply, words

CONTENT_TYPE = "text/event-stream"
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
    """Return the reply's events, framed."""
    common = {"modelVersion": model, "responseId": stream_id}
    framed = [_framed({**body, **common}) for body in _bodies(reply)]
    return framed if reply.cut_after is None else framed[: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error as the provider writes it."""
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
        yield error_body(reply.error.status or 500, str(reply.error))
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


def _framed(body: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\r\n\r\n"
