"""Decorate what makes operators and sources, so that an error names the one that failed.

Theory of operation:

A decorated factory keeps the line of the user's code that calls it (`stage.py`). When its stage
fails, the error gets a note with the call and the line: "timeout_idle(5) at app.py:42". An error
that only passes gets none. To know which it is, the stage watches its source: an error that enters
is marked with the serial number of the call, and an error that leaves without this mark is the
stage's own.

What must stay:

- An item costs nothing. `_Hooked` subscribes to the stream behind it with the subscriber's own
  `on_next`; only `on_error` is another function. An Observable around the stream, or an observer
  whose `on_next` is an attribute, cost 8 to 90 ns an item.
- The mark is on the error and is a number: neither a stage nor a subscription may keep an error
  alive, and errors are pickled. Marks and notes are limited, since a program may fail ten thousand
  times with one error object.
- What the library calls itself has no note. The user's call around it has the better name, and the
  nearest line of the user would be that of `asyncio.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial, wraps
from typing import Any, TypeAlias, TypeVar, cast

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.protocols import ByRead
from rxagents.runtime.reporting import raise_unhandled
from rxagents.runtime.short_repr import short_repr
from rxagents.runtime.stage import Call, Stage, chain_of, user_location
from rxagents.runtime.stream import Stream, stage_of

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Subscribe: TypeAlias = Callable[[abc.ObserverBase[Any], abc.SchedulerBase | None], Any]

_MOST_MARKS = 32
_MOST_NOTES = 16
_MARKS = "_rxagents_entered"


def operator_factory(factory: F) -> F:
    """Decorate a function that returns an operator."""

    @wraps(factory)
    def make(*arguments: Any, **named: Any) -> Any:
        location = user_location(1)
        if location == "library":
            return factory(*arguments, **named)
        call = Call("operator", factory.__name__, arguments, named, location)
        streams = [a for a in (*arguments, *named.values()) if isinstance(a, Observable)]
        if not streams:
            return staged(factory(*arguments, **named), call)
        shown = {key: _shown(value) for key, value in named.items()}
        call = Call("operator", factory.__name__, tuple(map(_shown, arguments)), shown, location)
        operator = factory(
            *(_watched_if_stream(value, call) for value in arguments),
            **{key: _watched_if_stream(value, call) for key, value in named.items()},
        )
        return staged(operator, call, tuple(map(stage_of, streams)))

    return cast("F", make)


def source_factory(factory: F) -> F:
    """Decorate a function or method that returns a source.

    The arguments are not shown: they are prompts and conversations. A method is shown with its
    object's class and model.
    """
    is_method = "." in factory.__qualname__ and "<locals>" not in factory.__qualname__

    @wraps(factory)
    def make(*arguments: Any, **named: Any) -> Any:
        location = user_location(1)
        source = factory(*arguments, **named)
        if location == "library":
            return source
        name: str | Callable[[], str] = (
            _MethodName(arguments[0], factory) if is_method else factory.__name__
        )
        return noting(source, Stage(Call("source", name, location=location)))

    return cast("F", make)


def staged(
    operator: Callable[[Observable[Any]], Any], call: Call, others: tuple[Stage, ...] = ()
) -> Callable[[Observable[Any]], Any]:
    """Make an operator add a note to its own errors, and record its stage.

    Args:
        operator: The operator.
        call: The call that made it.
        others: The streams among its arguments.
    """

    def apply(source: Observable[Any]) -> Any:
        result = operator(watched(source, call))
        if not isinstance(result, Observable):
            return result
        return noting(result, Stage(call, stage_of(source), others))

    return apply


def watched(source: Observable[Any], call: Call) -> Observable[Any]:
    """Mark the errors of `source`, so that the stage of `call` knows them for another's."""
    return _Hooked(source, stage_of(source), partial(_mark, call.serial))


def noting(result: Observable[Any], stage: Stage) -> Observable[Any]:
    """Return a stream that adds the note of its stage to errors without the mark of its call.

    Args:
        result: The stream of the stage. If nothing marks what enters it, all errors get the note.
        stage: The stage.
    """
    return _Hooked(result, stage, partial(_note, stage.call))


class _Hooked(Stream[Any]):
    """A stream that calls a function with an error before the subscriber gets it.

    Args:
        source: The stream; each subscription is one of this stream, with another `on_error`.
        stage: Its stage.
        hook: The function.
    """

    def __init__(
        self, source: Observable[Any], stage: Stage, hook: Callable[[Exception], None]
    ) -> None:
        super().__init__()
        self.stage = stage
        if isinstance(source, Stream):
            self.request_key = source.request_key
            self.by_read = source.by_read and _hooked(source.by_read, stage, hook)
        self._source = source
        self._hook = hook

    def subscribe(
        self,
        on_next: abc.ObserverBase[Any] | abc.OnNext[Any] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        observer: Any = on_next  # reactivex takes any object that has the methods
        if callable(getattr(observer, "on_next", None)):
            on_next = observer.on_next
            on_error, on_completed = observer.on_error, observer.on_completed
        hook, deliver = self._hook, on_error or raise_unhandled

        def on_error_(error: Exception) -> None:
            hook(error)
            deliver(error)

        return self._source.subscribe(on_next, on_error_, on_completed, scheduler=scheduler)

    def _subscribe_core(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> Any:
        hook = self._hook

        def on_error(error: Exception) -> None:
            hook(error)
            observer.on_error(error)

        core = core_of(self._source)
        try:
            return core(Callbacks(observer.on_next, on_error, observer.on_completed), scheduler)
        except Exception as error:
            hook(error)
            raise


def _hooked(by_read: ByRead, stage: Stage, hook: Callable[[Exception], None]) -> ByRead:
    def hooked(items_of: Callable[[list[StreamChunk]], Iterable[T]]) -> Observable[T] | None:
        stream = by_read(items_of)
        return None if stream is None else _Hooked(stream, stage, hook)

    return hooked


class Callbacks(abc.ObserverBase[Any]):
    """An observer of three attributes, which adds no call of its own to an item."""

    __slots__ = ("on_completed", "on_error", "on_next")

    on_next: Callable[[Any], None]  # type: ignore[assignment]  # its parameter needs no name
    on_error: Callable[[Exception], None]  # type: ignore[assignment]  # its parameter needs no name
    on_completed: Callable[[], None]

    def __init__(
        self,
        on_next: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        on_completed: Callable[[], None],
    ) -> None:
        self.on_next = on_next
        self.on_error = on_error
        self.on_completed = on_completed


def core_of(source: Observable[Any]) -> Subscribe:
    """Return what subscribes to `source` without another `AutoDetachObserver`."""
    if isinstance(source, _Hooked) or type(source).subscribe is Observable.subscribe:
        return source._subscribe_core  # noqa: SLF001 - a layer around it would cost every item a call
    return lambda observer, scheduler: source.subscribe(observer, scheduler=scheduler)


def _note(call: Call, error: Exception) -> None:
    # A class may refuse notes, reactivex takes any object as an error, and the label calls code of
    # the arguments: the error is delivered in any case.
    with suppress(Exception):
        if call.serial in getattr(error, _MARKS, ()):
            return
        note, notes = str(call), getattr(error, "__notes__", ())
        if note not in notes and len(notes) < _MOST_NOTES:
            error.add_note(note)


def _mark(serial: int, error: Exception) -> None:
    marks: tuple[int, ...] = getattr(error, _MARKS, ())
    if serial not in marks:
        with suppress(Exception):  # an error without a `__dict__`
            setattr(error, _MARKS, (*marks, serial)[-_MOST_MARKS:])


def _shown(argument: Any) -> Any:
    """Return an argument to keep for the label: of a stream only the call of its source."""
    return chain_of(stage_of(argument))[0].call if isinstance(argument, Observable) else argument


def _watched_if_stream(argument: Any, call: Call) -> Any:
    return watched(argument, call) if isinstance(argument, Observable) else argument


class _MethodName:
    """Returns the name of a method, with its object's class and model.

    Every open stream has one; a closure takes 150 bytes more.
    """

    __slots__ = ("_method", "_owner")

    def __init__(self, owner: object, method: Callable[..., Any]) -> None:
        self._owner = owner
        self._method = method

    def __call__(self) -> str:
        model = getattr(self._owner, "model", None)
        shown = f"({short_repr(model)})" if isinstance(model, str) else ""
        return f"{type(self._owner).__name__}{shown}.{self._method.__name__}"
