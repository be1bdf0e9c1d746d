"""Describe a tool call to the function that executes it."""

from __future__ import annotations

from msgspec import Struct


class ToolContext(Struct):
    """A tool call in progress, passed to the parameter with this annotation.

    The parameter is not part of the schema that the model sees.

    Attributes:
        call_id: The id of the tool call.
        name: The tool's name.
        attempt: 1 for the first attempt, 2 for the first retry.
        cancelled: Whether the result is no longer needed, because the run was disposed or the
            attempt timed out. A function on a thread cannot be stopped from outside: a long one
            should check this flag from time to time.
    """

    call_id: str
    name: str
    attempt: int = 1
    cancelled: bool = False
