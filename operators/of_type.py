"""Keep the items of some types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import operator_factory

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@overload
def of_type(first: type[A], /) -> Callable[[Observable[Any]], Observable[A]]: ...
@overload
def of_type(
    first: type[A], second: type[B], /
) -> Callable[[Observable[Any]], Observable[A | B]]: ...
@overload
def of_type(
    first: type[A], second: type[B], third: type[C], /
) -> Callable[[Observable[Any]], Observable[A | B | C]]: ...
@overload
def of_type(*types: type) -> Callable[[Observable[Any]], Observable[Any]]: ...
@operator_factory
def of_type(*types: type) -> Callable[[Observable[Any]], Observable[Any]]:
    """Keep the items that are instances of one of the types.

    Type checkers know the result: `of_type(Token)` gives an `Observable[Token]`.

    .. marble::
        --Token--Thought--Token--Answer--|
        [ of_type(Token, Answer) ]
        --Token-----------Token--Answer--|

    Emits when: the source emits an instance of one of the types, or of a subclass.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        types: One class or more.

    Returns:
        An operator from items of any types to those of these types.

    Raises:
        ConfigurationError: On the call, if no type is given, or one that `isinstance` does not
            accept. The source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import Answer, Token, operators as ops
        >>> steps = rx.of(Token("4", section="answer"), Answer("4"))
        >>> steps.pipe(ops.of_type(Answer)).subscribe(lambda answer: print(answer.content))
        4
        <...>
    """
    if not types:
        raise ConfigurationError("of_type needs at least one type, such as of_type(Token).")
    for kind in types:
        _check_type(kind)

    def is_kept(item: object) -> bool:
        return isinstance(item, types)

    return rx_ops.filter(is_kept)


def _check_type(kind: object) -> None:
    try:
        isinstance(None, kind)  # type: ignore[arg-type]  # the call finds out whether it is a type
    except TypeError as error:
        raise ConfigurationError(
            f"of_type takes classes such as Token or ToolCall, not {kind!r} ({error})."
        ) from None
