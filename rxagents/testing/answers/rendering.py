"""Frame events and cut arguments, for the wires that do it alike."""

from __future__ import annotations

from typing import Any

import msgspec

SSE_CONTENT_TYPE = "text/event-stream"
SSE_COMMENT = b": still here\n\n"

_ARGUMENT_PIECE = 8
"""Characters of arguments in one event; providers send pieces of about this size."""


def sse_event(body: dict[str, Any], newline: bytes = b"\n") -> bytes:
    """Render an event that has only data."""
    return b"data: " + msgspec.json.encode(body) + newline * 2


def named_sse_event(body: dict[str, Any]) -> bytes:
    """Render an event whose name is the `type` of its body."""
    return b"event: " + str(body["type"]).encode() + b"\n" + sse_event(body)


def argument_pieces(arguments: str) -> list[str]:
    """Cut the arguments of a tool call into the pieces of its events."""
    starts = range(0, len(arguments), _ARGUMENT_PIECE)
    return [arguments[start : start + _ARGUMENT_PIECE] for start in starts]
