"""A structured answer while it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec
from reactivex import Observable, compose
from reactivex import operators as rx_ops

from rxagents.core.errors import ConfigurationError
from rxagents.operators._partial import snapshots
from rxagents.parsing.json_snapshots import PartialJson, PartialObject

T = TypeVar("T")


@overload
def partial_object(type: type[T]) -> Callable[[Observable[str]], Observable[PartialObject[T]]]: ...
@overload
def partial_object(type: Any) -> Callable[[Observable[str]], Observable[PartialObject[Any]]]: ...
def partial_object(type: Any) -> Callable[[Observable[str]], Observable[PartialObject[Any]]]:
    """Emit the answer so far as an object of a type, whenever it may have changed.

    A snapshot's `value` is made when it is read: `None` until all that the type requires has
    come. Give fields defaults to see the others earlier. What is unfinished and does not fit
    yet, such as half an item of a list, is left out. The last snapshot is `complete`, and its
    value is the whole answer. As to the text around the answer, see `partial_json`.

    .. marble::
        --({"a": 1,)--------( "b": "x)---(y"})-----|
        [ partial_object(Pair) ]
        --(None)------------(Pair 1 x)---(Pair 1 xy)-|

    Emits when: the value may have changed, once a piece at most, and when it is complete.
    Backpressures when: downstream does.
    Completes when: the source completes, if the value is complete.

    Args:
        type: What msgspec can decode: a Struct, dataclass, TypedDict, `list[Item]`,
            `dict[str, int]` …

    Returns:
        An operator from pieces of text to `PartialObject` snapshots.

    Raises:
        OutputError: In the stream, after all snapshots: the text is not valid JSON, has none,
            ends before the value is complete, or the whole does not fit the type; the message
            says where.
        LimitExceededError: In the stream, if the value is nested more than
            `Limits.json_depth` levels deep.
        ConfigurationError: At once, if no object or array can be made an object of the type; in
            the stream, if the source emits anything but text. The source's errors pass.

    Example:
        >>> import msgspec, reactivex as rx
        >>> from rxagents import operators as ops
        >>> Person = msgspec.defstruct("Person", [("name", str), ("born", int, 0)])
        >>> pieces = rx.of('{"na', 'me": "Ad', 'a", "born": 1815}')
        >>> pieces.pipe(ops.partial_object(Person)).subscribe(lambda answer: print(answer.value))
        None
        Person(name='Ad', born=0)
        Person(name='Ada', born=1815)
        <...>
    """
    decoder = _decoder(type)

    def typed(json: PartialJson) -> PartialObject[Any]:
        answer: PartialObject[Any] = PartialObject(json.complete, json, decoder)
        if json.complete:
            _ = answer.value  # raises if it does not fit
        return answer

    return compose(snapshots("partial_object"), rx_ops.map(typed))


_SCALARS = {"string", "integer", "number", "boolean", "null"}


def _decoder(type: Any) -> msgspec.json.Decoder[Any]:
    try:
        schema = msgspec.json.schema(type)  # refuses what a decoder would refuse only later
        decoder = msgspec.json.Decoder(type)
    except (TypeError, ValueError, NameError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"msgspec decodes no JSON into {type!r}: {error}") from error
    if schema.get("type") in _SCALARS:
        raise ConfigurationError(
            f"partial_object reads objects and arrays, and {type!r} is neither: wrap it in one."
        )
    return decoder
