"""Subscriptions without an observer of reactivex between source and subscriber."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable

from rxagents.runtime.direct import DirectStream, deferred, subscribe_directly


class Source:
    """A source that the test emits from.

    Attributes:
        observer: Its subscriber.
        stream: The source.
        disposed: How many times it was disposed.
    """

    observer: abc.ObserverBase[Any]

    def __init__(self) -> None:
        self.disposed = 0
        self.stream: Observable[Any] = Observable(self._subscribe)

    def _subscribe(
        self, observer: abc.ObserverBase[Any], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self.observer = observer
        return Disposable(self._dispose)

    def _dispose(self) -> None:
        self.disposed += 1


def directly(source: Observable[Any], notes: list[Any]) -> abc.DisposableBase:
    return subscribe_directly(source, notes.append, notes.append, lambda: notes.append("end"), None)


def through_stream(source: Observable[Any], notes: list[Any]) -> abc.DisposableBase:
    return DirectStream(source).subscribe(notes.append, notes.append, lambda: notes.append("end"))


either = pytest.mark.parametrize("subscribe", [directly, through_stream])
Subscribe = Callable[[Observable[Any], list[Any]], abc.DisposableBase]


def test_no_call_stands_before_on_next() -> None:
    source, callers = Source(), list[str]()

    def on_next(_: object) -> None:
        callers.append(sys._getframe(1).f_code.co_name)

    subscribe_directly(source.stream, on_next, print, print, None)
    source.observer.on_next("a")
    DirectStream(source.stream).subscribe(on_next)
    source.observer.on_next("b")
    assert callers == ["test_no_call_stands_before_on_next"] * 2


@either
def test_first_terminal_counts_and_disposes(subscribe: Subscribe) -> None:
    error = KeyError()
    for last, ends in (
        ("end", ["on_completed", "on_error"]),
        (error, ["on_error", "on_completed"]),
    ):
        source, notes = Source(), list[Any]()
        subscribe(source.stream, notes)
        source.observer.on_next(1)
        for end in ends:
            if end == "on_error":
                source.observer.on_error(error)
            else:
                source.observer.on_completed()
        assert notes == [1, last]
        assert source.disposed == 1


@either
def test_terminal_after_dispose_is_dropped(subscribe: Subscribe) -> None:
    source, notes = Source(), list[Any]()
    subscribe(source.stream, notes).dispose()
    source.observer.on_completed()
    source.observer.on_error(ValueError())
    assert (notes, source.disposed) == ([], 1)


@either
def test_error_of_subscribe_reaches_on_error(subscribe: Subscribe) -> None:
    error = KeyError("mine")

    def broken(*_: object) -> abc.DisposableBase:
        raise error

    notes = list[Any]()
    subscribe(Observable(broken), notes)
    assert notes == [error]


@either
def test_error_of_subscribe_after_end_is_raised(subscribe: Subscribe) -> None:
    def broken(observer: abc.ObserverBase[Any], _: object = None) -> abc.DisposableBase:
        observer.on_completed()
        raise KeyError("mine")

    notes = list[Any]()
    with pytest.raises(KeyError, match="mine"):
        subscribe(Observable(broken), notes)
    assert notes == ["end"]


@either
@pytest.mark.parametrize("returns", [None, "function", "object"])
def test_any_result_of_subscribe_is_disposed(subscribe: Subscribe, returns: str | None) -> None:
    disposed = list[str]()

    class WithDispose:
        def dispose(self) -> None:
            disposed.append("object")

    results = {None: None, "function": lambda: disposed.append("function"), "object": WithDispose()}
    made: Any = lambda *_: results[returns]  # noqa: E731 - reactivex takes what a function returns
    subscribe(Observable(made), []).dispose()
    assert disposed == ([returns] if returns else [])


@either
def test_source_that_emits_at_once_can_be_disposed(subscribe: Subscribe) -> None:
    numbers, notes = itertools.count(), list[Any]()
    long = rx.from_iterable(itertools.islice(numbers, 1000))
    subscribe(long.pipe(rx_ops.take(3)), notes)
    assert notes == [0, 1, 2, "end"]
    assert next(numbers) < 10


def test_observer_objects_may_subscribe() -> None:
    notes = list[Any]()
    observer = rx.Observer(notes.append, notes.append, lambda: notes.append("end"))
    DirectStream(rx.just(2)).subscribe(observer)
    assert notes == [2, "end"]


def test_deferred_stream_is_made_at_each_subscription() -> None:
    numbers = itertools.count()
    stream = deferred(lambda: rx.just(next(numbers)))
    notes = list[Any]()
    for _ in range(2):
        stream.subscribe(notes.append)
    assert notes == [0, 1]


def test_failed_making_reaches_on_error() -> None:
    def fail() -> Observable[int]:
        raise KeyError("mine")

    notes = list[Any]()
    deferred(fail).subscribe(notes.append, notes.append)
    assert [type(note) for note in notes] == [KeyError]
