"""Mark a place of a pipe with a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import noting, staged
from rxagents.runtime.stage import Call, Stage, user_location
from rxagents.runtime.stream import stage_of

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


@overload
def checkpoint(name: str) -> Callable[[Observable[T]], Observable[T]]: ...
@overload
def checkpoint(
    name: str, operator: Callable[[Observable[A]], Observable[B]]
) -> Callable[[Observable[A]], Observable[B]]: ...
def checkpoint(
    name: str, operator: Callable[[Observable[Any]], Observable[Any]] | None = None
) -> Callable[[Observable[Any]], Observable[Any]]:
    """Add a note with a name and the line of this call to errors.

    An operator of this library adds such a note to its own errors: `timeout_idle(5) at app.py:42`.
    reactivex's operators do not. `checkpoint("name")` adds its note to every error that passes.
    `checkpoint("name", operator)` adds it only to the errors of that operator, which may be a whole
    pipe made by `reactivex.compose`; `describe` shows the operator with this name. Neither costs
    anything for an item.

    .. marble::
        --1--2--#
        [ checkpoint("numbers") ]
        --1--2--#

    Emits when: the source emits; with an operator, when that one does.
    Backpressures when: downstream does.
    Completes when: the source completes; with an operator, when that one does.

    Args:
        name: The name, for errors and pictures.
        operator: An operator to name, such as one of reactivex; `None` to mark a place.

    Returns:
        An operator that leaves the items as they are, or `operator` with a name.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type. The source's errors
            pass.

    Example:
        >>> import reactivex as rx
        >>> from reactivex import operators as rx_ops
        >>> from rxagents import operators as ops
        >>> half = rx.of(0).pipe(ops.checkpoint("division", rx_ops.map(lambda n: 1 / n)))
        >>> half.subscribe(on_error=lambda error: print(error.__notes__))
        ['checkpoint "division" at ...']
        <...>
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name must be a text that is not empty, not {name!r}.")
    location = user_location(1)
    call = Call("checkpoint", name, location=None if location == "library" else location)
    if operator is not None:
        checked_function("operator", operator)
        return staged(operator, call)

    def checkpoint_(source: Observable[Any]) -> Observable[Any]:
        return noting(source, Stage(call, stage_of(source)))

    return checkpoint_
