"""Describe a tool call to the function that executes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast

from msgspec import Struct

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # a type checker knows it; it need not be installed

    ContextT = TypeVar("ContextT", default=Any)
else:
    from typing import TypeVar

    ContextT = TypeVar("ContextT")


class ToolContext(Struct, Generic[ContextT]):
    """A tool call in progress, passed to the parameter with this annotation.

    The parameter is not part of the schema that the model sees. Annotate it `ToolContext[Shop]` to
    give `context` a type for the type checker.

    Attributes:
        call_id: The id of the tool call.
        name: The tool's name.
        attempt: 1 for the first attempt, 2 for the first retry.
        cancelled: Whether the result is no longer needed, because the run was disposed or the
            attempt timed out. A function on a thread cannot be stopped from outside: a long one
            should check this flag from time to time.
        context: The object that the caller gave the run with `context=`; `None` if it gave none.
            All calls of the run share it.
    """

    call_id: str
    name: str
    attempt: int = 1
    cancelled: bool = False
    context: ContextT = cast("Any", None)
