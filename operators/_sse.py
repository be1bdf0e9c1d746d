"""Encode the end of a stream of server-sent events."""

from __future__ import annotations

from typing import Final

import msgspec

from rxagents.core.events import ErrorEvent, ErrorInfo
from rxagents.operators._encoding import data_frame

_ERROR: Final = b'data: {"type":"error"'
"""How the data of an `ErrorEvent` begins."""


def end_frame(name: str) -> bytes:
    """Return the last event, which has a name and no data."""
    return b"event: " + name.encode() + b"\ndata: {}\n\n"


def failure_frame(error: Exception, newest: bytes) -> bytes:
    """Return the event of a failure; nothing if the stream's newest event is that already.

    Args:
        error: What the stream failed with.
        newest: The frames that were sent last.
    """
    data_line = newest[:-2].rpartition(b"\n")[2]
    if data_line.startswith(_ERROR):
        return b""
    return data_frame(msgspec.json.encode(ErrorEvent(ErrorInfo.of(error))))
