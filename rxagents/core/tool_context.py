"""What a tool may know of the call that it serves."""

from __future__ import annotations

from msgspec import Struct


class ToolContext(Struct):
    """One call of a tool; a parameter with this annotation gets it, and the model knows nothing.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        attempt: 1 for the first attempt, 2 for the first retry.
        cancelled: Nobody wants the result any more: the run was disposed, or the attempt's time
            is over. A function on a thread cannot be stopped, and may look at it now and then.
    """

    call_id: str
    name: str
    attempt: int = 1
    cancelled: bool = False
