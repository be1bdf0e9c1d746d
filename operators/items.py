"""Emit the elements of a list in an answer, each when it closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.operators._elements import ElementReader, ElementType
from rxagents.operators._items import not_a_chunk
from rxagents.runtime.factories import operator_factory

T = TypeVar("T")


@overload
def items(path: str, type: type[T]) -> Callable[[Observable[StreamChunk]], Observable[T]]: ...
@overload
def items(path: str, type: Any) -> Callable[[Observable[StreamChunk]], Observable[Any]]: ...
@operator_factory
def items(path: str, type: Any) -> Callable[[Observable[StreamChunk]], Observable[Any]]:
    """Emit each element of a list in a JSON answer, as a value of a type, when it closes.

    An element that does not match the type ends the stream, and the request with it. After a
    reset, an element that equals the element which was emitted at the same position before is not
    emitted again; with `check_items` a wrong element can cause a reset. Text around the answer is
    skipped as in `partial_json`.

    .. marble::
        --([{"n": 1)--(}, {"n")--(: 2}])-----|
        [ items("[]", N) ]
        --------------(N(1))-----(N(2))------|

    Emits when: an element closes; a number closes with the character after it.
    Backpressures when: downstream does.
    Completes when: the source completes, if the answer is complete.

    Args:
        path: The path of the elements: `"[]"` for those of an answer that is a list,
            `"cities[]"`, `"orders[].lines[]"`; `"value[]"` if `response_format` is a list.
        type: The type of an element: one that msgspec can decode, or a pydantic model.

    Returns:
        An operator from the chunks of a model to elements.

    Raises:
        OutputError: In the stream: an element does not match the type, or the answer is not
            valid JSON, has none, or ends before it is complete.
        ConfigurationError: On the call, if `path` is no path or msgspec cannot decode `type`; in
            the stream, if the source emits anything but chunks. The source's errors pass.

    Example:
        >>> import msgspec, reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> City = msgspec.defstruct("City", ["name"])
        >>> chunks = rx.of(StreamChunk('{"cities": [{"name": "Ro'), StreamChunk('me"}]}'))
        >>> chunks.pipe(ops.items("cities[]", City)).subscribe(print)
        City(name='Rome')
        <...>
    """
    element = ElementType(path, type)

    def items_(source: Observable[StreamChunk]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            elements = _Elements(element, observer)

            def on_next(chunk: StreamChunk) -> None:
                try:
                    piece = "" if chunk.choice else chunk.delta
                except AttributeError:
                    observer.on_error(not_a_chunk("items", chunk))
                    return
                if piece:
                    elements.read(piece)
                elif "reset" in chunk.metadata:
                    elements.start()

            return source.subscribe(
                on_next, observer.on_error, elements.finish, scheduler=scheduler
            )

        return Observable(subscribe)

    return items_


class _Elements:
    """The elements that one subscriber got, so that none is emitted twice after a reset."""

    def __init__(self, element: ElementType, observer: abc.ObserverBase[Any]) -> None:
        self._element = element
        self._observer = observer
        self._emitted: list[Any] = []
        self.start()

    def start(self) -> None:
        """Read the answer from its beginning."""
        self._reader = ElementReader(self._element)
        self._position = 0

    def read(self, piece: str) -> None:
        for value in self._reader.read(piece):
            self._emit(value)
        if self._reader.error is not None:
            self._observer.on_error(self._reader.error)

    def finish(self) -> None:
        self._reader.finish()
        if self._reader.error is not None:
            self._observer.on_error(self._reader.error)
        else:
            self._observer.on_completed()

    def _emit(self, value: Any) -> None:
        position, emitted = self._position, self._emitted
        self._position += 1
        if position == len(emitted):
            emitted.append(value)
        elif emitted[position] == value:
            return
        else:
            emitted[position] = value
        self._observer.on_next(value)
