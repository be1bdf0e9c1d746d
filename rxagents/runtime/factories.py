"""Decorate what makes operators and sources, so that an error names the one that failed.

Theory of operation:

A decorated factory keeps the line of the user's code that calls it (`stage.py`). When its stage
fails, the error gets a note with the call and the line: "timeout_idle(5) at app.py:42". An error
that only passes gets none. To know which it is, the stage watches its source: an error that enters
is marked with the serial number of the call, and an error that leaves without this mark is the
stage's own.

What must stay:

- An item costs nothing. An observer in between (`Callbacks`) has the next observer's `on_next` as
  an attribute, so that a stage calls the same method as without it. And neither side adds an
  `AutoDetachObserver`, which reactivex makes in `subscribe`: `core_of` gets its subscribe function.
- The mark is on the error and is a number: neither a stage nor a subscription may keep an error
  alive, and errors are pickled. Marks and notes are limited, since a program may fail ten thousand
  times with one error object.
- What the library calls itself has no note. The user's call around it has the better name, and the
  nearest line of the user would be that of `asyncio.run`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeAlias, TypeVar, cast

from reactivex import Observable, abc

from rxagents.runtime.short_repr import short_repr
from rxagents.runtime.stage import Call, Stage, user_location
from rxagents.runtime.stream import Stream, stage_of

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
        name = _method_name(arguments[0], factory) if is_method else factory.__name__
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
    core, serial = core_of(source), call.serial

    def subscribe(
        observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> Any:
        def on_error(error: Exception) -> None:
            _mark(error, serial)
            observer.on_error(error)

        try:
            return core(Callbacks(observer.on_next, on_error, observer.on_completed), scheduler)
        except Exception as error:
            _mark(error, serial)
            raise

    stream: Stream[Any] = Stream(subscribe)
    stream.stage = stage_of(source)
    return stream


def noting(result: Observable[Any], stage: Stage, *, passing: bool = False) -> Stream[Any]:
    """Return a stream that adds the note of its stage to errors.

    Args:
        result: The stream of the stage.
        stage: The stage.
        passing: Whether errors that come from upstream get the note as well.
    """
    core, call = core_of(result), stage.call

    def note(error: Exception) -> None:
        if passing or call.serial not in getattr(error, _MARKS, ()):
            _add_note(error, str(call))

    def subscribe(
        observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> Any:
        def on_error(error: Exception) -> None:
            note(error)
            observer.on_error(error)

        try:
            return core(Callbacks(observer.on_next, on_error, observer.on_completed), scheduler)
        except Exception as error:
            note(error)
            raise

    stream: Stream[Any] = Stream(subscribe)
    stream.stage = stage
    return stream


class Callbacks(abc.ObserverBase[Any]):
    """Three callbacks as attributes: a call of one costs what a call of the callback costs."""

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
    if type(source).subscribe is Observable.subscribe:
        return source._subscribe_core  # noqa: SLF001 - a layer around it would cost every item a call
    return lambda observer, scheduler: source.subscribe(observer, scheduler=scheduler)


def _mark(error: Exception, serial: int) -> None:
    marks: tuple[int, ...] = getattr(error, _MARKS, ())
    if serial not in marks:
        with suppress(Exception):  # an error without a `__dict__`
            setattr(error, _MARKS, (*marks, serial)[-_MOST_MARKS:])


def _add_note(error: Exception, note: str) -> None:
    notes = getattr(error, "__notes__", ())
    if note not in notes and len(notes) < _MOST_NOTES:
        with suppress(Exception):  # a class may refuse notes, and reactivex takes any object
            error.add_note(note)


def _shown(argument: Any) -> Any:
    """Return an argument to keep for the label: of a stream only its call."""
    return stage_of(argument).call if isinstance(argument, Observable) else argument


def _watched_if_stream(argument: Any, call: Call) -> Any:
    return watched(argument, call) if isinstance(argument, Observable) else argument


def _method_name(owner: object, method: Callable[..., Any]) -> Callable[[], str]:
    def name() -> str:
        model = getattr(owner, "model", None)
        shown = f"({short_repr(model)})" if isinstance(model, str) else ""
        return f"{type(owner).__name__}{shown}.{method.__name__}"

    return name
