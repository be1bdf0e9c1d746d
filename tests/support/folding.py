"""Fold chunks into a response, for the tests of wires."""

from __future__ import annotations

from collections.abc import Iterable

from rxagents import Response, StreamChunk
from rxagents.core.response import ResponseBuilder


def fold(chunks: Iterable[StreamChunk], choice: int = 0) -> Response:
    """Return the response of one choice."""
    builder = ResponseBuilder(choice)
    for chunk in chunks:
        builder.add(chunk)
    return builder.response()
