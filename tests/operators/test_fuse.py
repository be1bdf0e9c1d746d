"""Test `fuse`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matrix import size
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable

import rxagents
from rxagents import operators as ops

fuse: Any = ops.fuse  # the arguments of these tests match none of its overloads


class Interruption(BaseException):
    """Is no `Exception`: reactivex does not catch it either."""


class Run:
    """One subscription to a stream, with all that happens to it noted.

    Args:
        names: Which of map, filter and scan are used.
        seed: The arguments of `rx_ops.scan` after its function.
        actions: What a function of the stream does, by the number of its call.
    """

    def __init__(
        self, names: frozenset[str], seed: tuple[Any, ...], actions: dict[int, str]
    ) -> None:
        self.notes: list[Any] = []
        self._functions: dict[str, Callable[..., Any]] = {
            "map": lambda item: self._call(item * 3, "map", item),
            "filter": lambda item: self._call(item % 4, "filter", item),
            "scan": lambda state, item: self._call(item + 1, "scan", state, item),
        }
        self._names, self._seed, self._actions = names, seed, actions
        self._calls = itertools.count()
        self._observers: list[abc.ObserverBase[int]] = []

    @property
    def fused(self) -> Any:
        arguments: dict[str, Any] = {name: self._functions[name] for name in self._names}
        if self._seed:
            arguments["seed"] = self._seed[0]
        return [fuse(**arguments)]

    @property
    def piped(self) -> Any:
        make: Any = {"map": rx_ops.map, "filter": rx_ops.filter}
        stages = [make[name](self._functions[name]) for name in make if name in self._names]
        if "scan" in self._names:
            stages.append(rx_ops.scan(self._functions["scan"], *self._seed))
        return stages

    def start(self, operators: Any) -> Run:
        source: Observable[int] = Observable(self._subscribe)
        self.stream = source.pipe(*operators)
        self._subscription = self.stream.subscribe(
            lambda item: self._call(None, "emitted", item),
            lambda error: self.notes.append(("failed", type(error), error.args)),
            lambda: self.notes.append("completed"),
        )
        return self

    def emit(self, script: list[str]) -> list[Any]:
        for number, step in enumerate(script):
            observer = self._observers[0]
            try:
                if step == "n":
                    observer.on_next(number)
                elif step == "e":
                    observer.on_error(OSError("cut"))
                elif step == "c":
                    observer.on_completed()
                else:
                    self._subscription.dispose()
            except (Exception, Interruption) as error:
                self.notes.append(("raised", type(error), error.args))
        return self.notes

    def _subscribe(
        self, observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self._observers.append(observer)
        return Disposable(lambda: self.notes.append("source disposed"))

    def _call(self, result: Any, name: str, *values: int) -> Any:
        number = next(self._calls)
        self.notes.append((name, *values))
        match self._actions.get(number):
            case "raise":
                raise LookupError(name, number)
            case "interrupt":
                raise Interruption(name, number)
            case "dispose":
                self._subscription.dispose()
            case "emit":
                self._observers[0].on_next(100 + number)
            case "complete":
                self._observers[0].on_completed()
        return result


ALL = frozenset({"map", "filter", "scan"})
each_choice = st.frozensets(st.sampled_from(sorted(ALL)), min_size=1)
actions = st.dictionaries(
    st.integers(0, 12),
    st.sampled_from(["raise", "interrupt", "dispose", "emit", "complete"]),
    max_size=3,
)


@given(
    names=each_choice,
    seed=st.sampled_from([(), (0,), (None,), (7,)]),
    calls=actions,
    script=st.lists(st.sampled_from("nnnnnnecd"), max_size=8),
)
@example(names=ALL, seed=(0,), calls={2: "dispose"}, script=["n", "n"])  # in map
@example(names=ALL, seed=(0,), calls={3: "dispose"}, script=["n", "n"])  # in filter
@example(names=ALL, seed=(0,), calls={4: "dispose"}, script=["n", "n"])  # in scan
@example(names=ALL, seed=(0,), calls={4: "emit"}, script=["n", "n", "c"])
@example(names=ALL, seed=(0,), calls={4: "interrupt"}, script=["n", "n", "n"])
@example(names=ALL, seed=(), calls={3: "raise"}, script=["n", "n", "e"])
@settings(max_examples=size(2000, quick=200))
def test_fuse_equals_reactivex_pipe(
    names: frozenset[str], seed: tuple[Any, ...], calls: dict[int, str], script: list[str]
) -> None:
    """The same items, calls, errors and ends, also when a function disposes, raises or emits."""
    seed = seed if "scan" in names else ()
    fused, piped = Run(names, seed, calls), Run(names, seed, calls)
    assert fused.start(fused.fused).emit(script) == piped.start(piped.piped).emit(script)


def emitted(stream: Observable[Any]) -> list[Any]:
    out: list[Any] = []
    stream.subscribe(out.append, out.append, lambda: out.append("|"))
    return out


def add(state: int, item: int) -> int:
    return state + item


@pytest.mark.parametrize(
    ("seed", "expected"),
    [({}, [2, 4, 8, "|"]), ({"seed": 0}, [2, 4, 8, "|"]), ({"seed": 1}, [3, 5, 9, "|"])],
    ids=["none", "0", "1"],
)
def test_first_item_passes_without_seed(seed: dict[str, int], expected: list[Any]) -> None:
    stream = rx.of(2, 2, 4)
    assert emitted(stream.pipe(fuse(scan=add, **seed))) == expected
    assert emitted(stream.pipe(rx_ops.scan(add, **seed))) == expected


def test_each_subscription_has_its_state() -> None:
    totals = rx.of(1, 2).pipe(ops.fuse(scan=add, seed=10))
    assert emitted(totals) == [11, 13, "|"]
    assert emitted(totals) == [11, 13, "|"]


def test_no_call_after_error_inside_subscribe() -> None:
    seen: list[int] = []

    def emit_two(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
        observer.on_next(1)
        observer.on_next(2)
        return Disposable()

    def note(item: int) -> float:
        seen.append(item)
        return 1 / 0

    (error,) = emitted(rx.create(emit_two).pipe(ops.fuse(map=note)))
    assert isinstance(error, ZeroDivisionError)
    assert seen == [1]


@pytest.mark.parametrize("returned", ["function", "nothing"])
def test_source_may_return_function_or_nothing(returned: str) -> None:
    disposed: list[bool] = []

    def subscribe(_: abc.ObserverBase[int], __: Any = None) -> Any:
        return None if returned == "nothing" else lambda: disposed.append(True)

    rx.create(subscribe).pipe(ops.fuse(map=str)).subscribe().dispose()
    assert disposed == ([] if returned == "nothing" else [True])


def test_error_names_the_call_of_fuse() -> None:
    stream = rx.of("x").pipe(ops.fuse(map=int))
    number = sys._getframe().f_lineno - 1
    (error,) = emitted(stream)
    assert isinstance(error, ValueError)
    (note,) = error.__notes__
    assert note.startswith("fuse(map=")
    assert note.endswith(f"test_fuse.py:{number}")


def test_truth_value_that_raises_fails_stream() -> None:
    class Undecided:
        def __bool__(self) -> bool:
            raise LookupError("neither")

    (error,) = emitted(rx.of(1).pipe(ops.fuse(filter=lambda _: Undecided())))
    assert isinstance(error, LookupError)


async def wait_for(_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "at least one function: map, filter or scan"),
        ({"map": 1}, "map must be a function, not int"),
        ({"map": str, "scan": (add, 0)}, "scan must be a function, not tuple"),
        ({"map": str, "filter": wait_for}, "cannot await filter.* map_async"),
        ({"map": str, "seed": None}, "seed=None is .* pass the function scan too"),
    ],
    ids=["nothing", "number", "tuple", "coroutine function", "seed without scan"],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=message):
        fuse(**arguments)
