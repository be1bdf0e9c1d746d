"""Read an answer as an object while it is being written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec
from reactivex import Observable, compose
from reactivex import operators as rx_ops

from rxagents.core.errors import ConfigurationError
from rxagents.operators._snapshots import snapshots
from rxagents.parsing.json_snapshots import PartialJson, PartialObject
from rxagents.runtime.factories import operator_factory

T = TypeVar("T")


@overload
def partial_object(type: type[T]) -> Callable[[Observable[str]], Observable[PartialObject[T]]]: ...
@overload
def partial_object(type: Any) -> Callable[[Observable[str]], Observable[PartialObject[Any]]]: ...
@operator_factory
def partial_object(type: Any) -> Callable[[Observable[str]], Observable[PartialObject[Any]]]:
    """Emit the answer so far as an object of a type, whenever it may have changed.

    A snapshot's `value` is made when it is read. It is `None` until everything that the type
    requires has come; give fields defaults to see a value earlier. Unfinished parts that do not
    fit yet, such as half an item of a list, are left out. The last snapshot has `complete=True`
    and the whole answer. Text around the answer is skipped as in `partial_json`.

    .. marble::
        --({"a": 1,)--------( "b": "x)-------(y"})------------|
        [ partial_object(Pair) ]
        --(None)------------(Pair(1, "x"))---(Pair(1, "xy"))--|

    Emits when: the value may have changed, at most once a piece, and when it is complete.
    Backpressures when: downstream does.
    Completes when: the source completes, if the value is complete.

    Args:
        type: A type that msgspec can decode: a Struct, dataclass, TypedDict, `list[Item]`,
            `dict[str, int]` …

    Returns:
        An operator from pieces of text to `PartialObject` snapshots.

    Raises:
        OutputError: In the stream, after all snapshots: the text is not valid JSON, has none,
            ends before the value is complete, or the whole does not fit the type; the message
            says where.
        LimitExceededError: In the stream, if the value is nested more than
            `Limits.json_depth` levels deep.
        ConfigurationError: On the call, if no JSON object or array can become the type; in
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
        # The schema refuses some types that a decoder refuses only when it decodes.
        schema = msgspec.json.schema(type)
        decoder = msgspec.json.Decoder(type)
    except (TypeError, ValueError, NameError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"msgspec cannot decode JSON into {type!r}: {error}") from error
    if schema.get("type") in _SCALARS:
        raise ConfigurationError(
            f"partial_object reads JSON objects and arrays, but {type!r} is a scalar: wrap it in a "
            "Struct or a list."
        )
    return decoder
