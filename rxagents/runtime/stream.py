"""The Observable of our own sources, which refuses to be read with a plain loop.

Theory of operation:

reactivex gives every Observable a `__getitem__`. So Python would run `for chunk in stream` by
asking for `stream[0]`, `stream[1]` and so on: each answer is another Observable, and the loop
never ends. `Stream` has an `__iter__` that raises, and an `__aiter__` for the same mistake in a
coroutine.

Sources make a `Stream` directly. Operators do not know about it: `pipe` makes a `Stream` of what
they return, with the same subscribe function, so that a subscription costs nothing more. What
`pipe` does not see stays a plain Observable: reactivex's fluent methods and factories.

A `Stream` also knows its stage: what made it, and the stages before (`stage.py`). `pipe` applies
one operator after the other, since an operator that is not ours does not say what it reads.

A `Stream` of a model may also offer its chunks read by read (`ByRead`). That is an attribute and
not a subclass, since a decorated source is the same stream with another `on_error`; see `_Hooked`.

One price: code that asks `isinstance(stream, Iterable)` gets True. In reactivex only
`sequence_equal` does; pass it `rx_ops.as_observable()(stream)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.protocols import ByRead
from rxagents.runtime.stage import UNKNOWN_SOURCE, Stage, unknown_operator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Stream(Observable[T_co]):
    """An Observable that names the ways to read it when it is used in a loop.

    Attributes:
        stage: What made it; `None` if that is not known.
        request_key: Returns a text that only equal requests have, if it is the stream of a model.
        by_read: Makes a stream of what each read brings; `None` if the source has no reads.
    """

    stage: Stage | None = None
    request_key: Callable[[], str] | None = None
    by_read: ByRead | None = None

    def __iter__(self) -> NoReturn:
        raise ConfigurationError(
            "A stream cannot be read with a plain for loop. In a coroutine: async with "
            "rxagents.to_aiter(stream) as items, and then async for item in items. On a thread "
            "without an event loop: for item in rxagents.to_iter(stream). In a script also: "
            "rxagents.run(stream, on_next=print)."
        )

    def __aiter__(self) -> NoReturn:
        raise ConfigurationError(
            "A stream is read with async for inside a block that closes it: async with "
            "rxagents.to_aiter(stream) as items, and then async for item in items."
        )

    if not TYPE_CHECKING:  # the overloads of `Observable.pipe` are its type

        def pipe(self, *operators: Any) -> Any:
            """Apply operators from left to right, as `Observable.pipe` does."""
            return pipe_stages(self, operators)


def pipe_stages(source: Any, operators: tuple[Any, ...]) -> Any:
    """Apply operators from left to right; record the stages of those that are not ours."""
    piped = source
    for operator in operators:
        result = operator(piped)
        if type(result) is Observable:
            stream = Stream(result._subscribe)  # noqa: SLF001 - see `as_stream`
            stream.stage = unknown_operator(operator, stage_of(piped))
            result = stream
        piped = result
    return piped


def as_stream(source: Observable[T_co]) -> Observable[T_co]:
    """Return a plain Observable as a `Stream`; anything else unchanged."""
    if type(source) is not Observable:
        return source
    return Stream(source._subscribe)  # noqa: SLF001 - a layer around it would cost every item a call


def stage_of(source: Observable[Any]) -> Stage:
    """Return the stage that made an Observable, as far as it is known."""
    stage = source.stage if isinstance(source, Stream) else None
    return UNKNOWN_SOURCE if stage is None else stage


def items_by_read(
    source: Observable[StreamChunk], items_of: Callable[[list[StreamChunk]], Iterable[T]]
) -> Observable[T] | None:
    """Return what `ByRead` of the source makes now; `None` if it has none."""
    by_read = source.by_read if isinstance(source, Stream) else None
    return None if by_read is None else by_read(items_of)


def in_bursts(source: Observable[StreamChunk]) -> Observable[StreamChunk]:
    """Return the stream with a `TextBurst` for several chunks, if it can make them now.

    It is for code that folds the chunks. Call it when the stream is subscribed to.
    """
    bursts = items_by_read(source, _unchanged)
    return source if bursts is None else bursts


def _unchanged(chunks: list[StreamChunk]) -> list[StreamChunk]:
    return chunks
