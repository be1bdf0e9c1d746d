"""Render replies in the format of Ollama's own API, one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rxagents.testing.script import Reply, status_of, words

CONTENT_TYPE = "application/x-ndjson"
COMMENT = b"\n"
"""Clients ignore blank lines."""
END = b""
"""The wire has no end marker: the last line has `done: true`."""


def events(reply: Reply, model: str, stream_id: str, *, generate: bool = False) -> list[bytes]:
    """Return the reply's lines; with `generate` in the format of `/api/generate`."""
    common = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
    framed = [msgspec.json.encode({**common, **body}) + b"\n" for body in _bodies(reply, generate)]
    return framed[: reply.cut_after]


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error in the provider's format."""
    return {"error": message}


def _bodies(reply: Reply, generate: bool) -> Iterator[dict[str, Any]]:
    for word in words(reply.reasoning):
        yield _line({"content": "", "thinking": word}, generate)
    for text in [*words(reply.refusal), *reply.deltas()]:
        yield _line({"content": text}, generate)
    for call in reply.tool_calls:
        function = {"name": call.name, "arguments": call.parse()}
        yield _line({"content": "", "tool_calls": [{"function": function}]}, generate)
    if reply.error is not None:
        status = status_of(reply.error)
        code = {} if status == 500 else {"status_code": status}
        yield {**error_body(status, str(reply.error)), **code}
        return
    finish = {"tool_calls": "stop"}.get(reply.finish(), reply.finish())
    last = {**_line({"content": ""}, generate), "done": True, "done_reason": finish}
    usage = reply.usage
    if usage is not None:
        last |= {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens}
    yield last


def _line(message: dict[str, Any], generate: bool) -> dict[str, Any]:
    if generate:
        rest = {name: value for name, value in message.items() if name == "thinking"}
        return {"response": message["content"], **rest, "done": False}
    return {"message": {"role": "assistant", **message}, "done": False}
