"""Test `partial_object` in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict, assert_type

import msgspec
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from reactivex import Observable
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, OutputError, StreamChunk
from rxagents import operators as ops
from rxagents.parsing.json_snapshots import PartialObject

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


class City(Struct):
    name: str
    size: int = 0
    rivers: list[str] = []


class Step(Struct):
    kind: Literal["go", "stop"]
    to: City | None = None


@dataclass
class Point:
    x: int
    y: int


class Options(TypedDict, total=False):
    depth: int


def objects(kind: Any, *pieces: str) -> list[Any]:
    """Return the values of the snapshots; the source goes on."""
    out: list[Any] = []
    subject: rx.Subject[str] = rx.Subject()
    subject.pipe(ops.partial_object(kind)).subscribe(lambda s: out.append(s.value))
    for piece in pieces:
        subject.on_next(piece)
    return out


def failure(kind: Any, *pieces: str) -> Exception:
    errors: list[Exception] = []
    rx.of(*pieces).pipe(ops.partial_object(kind)).subscribe(on_error=errors.append)
    (error,) = errors
    return error


def test_value_exists_once_required_fields_came() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        on_next(210, "{"),
        on_next(220, '"name": "Ro'),
        on_next(230, 'me", "rivers": ["Tib'),
        on_next(240, 'er"], "size": 28'),
        on_next(250, "73}"),
        on_completed(260),
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.partial_object(City)))
    *snapshots, end = observer.messages
    assert [(m.time, m.value.value.value, m.value.value.complete) for m in snapshots] == [
        (210, None, False),
        (220, City("Ro"), False),
        (230, City("Rome", 0, ["Tib"]), False),
        (240, City("Rome", 0, ["Tiber"]), False),
        (250, City("Rome", 2873, ["Tiber"]), True),
    ]
    assert end == on_completed(260)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (list[City], '[{"name": "Rome"}, {"size": 1, "na', [City("Rome")]),
        (list[City], '[{"name": "Rome"}, {"name": "Par', [City("Rome"), City("Par")]),
        (dict[str, int], '{"a": 1, "b": 2', {"a": 1}),
        (list[Point], '[{"x": 1, "y": 2}, {"x": 3, ', [Point(1, 2)]),
        (Point, '{"x": 1, "y": 2', None),
        (Options, '{"depth": 1, "', {"depth": 1}),
        (Step, '{"kind": "st', None),
        (Step, '{"kind": "stop', Step("stop")),
        (Step, '{"kind": "go", "to": {"size": 1, ', Step("go")),
        (Step, '{"kind": "go", "to": {"name": "R', Step("go", City("R"))),
        (list[Annotated[str, Meta(min_length=3)]], '["abc", "de', ["abc"]),
        (tuple[int, str], '[1, "a', (1, "a")),
        (list[int], '["no", 1, ', None),
        (Any, '{"a": [1, ', {"a": [1]}),
    ],
)
def test_value_so_far_is_shown(kind: Any, text: str, expected: Any) -> None:
    assert objects(kind, text)[-1] == expected


def test_misfit_error_names_the_place() -> None:
    error = failure(list[City], '[{"name": "Rome"}, {"na', 'me": 1}]')
    assert isinstance(error, OutputError)
    assert "`$[1].name`" in str(error)
    assert isinstance(error.__cause__, msgspec.ValidationError)


def test_snapshots_come_before_error() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, '{"x": 1, '), on_next(220, '"y": "z"}'))
    observer: Any = scheduler.start(lambda: source.pipe(ops.partial_object(Point)))
    first, last = observer.messages
    assert (first.time, first.value.value.value) == (210, None)
    assert (last.time, last.value.kind) == (220, "E")
    assert source.subscriptions == [subscribe(200, 220)]


@pytest.mark.parametrize("text", ['{"name": "Rome"', "Rome", "{name}", '{"name": "Rome", }'])
def test_incomplete_answer_is_an_error(text: str) -> None:
    assert isinstance(failure(City, text), OutputError)


def test_non_text_is_a_typed_error() -> None:
    errors: list[Exception] = []
    chunks: Observable[Any] = rx.of(StreamChunk("{}"))
    chunks.pipe(ops.partial_object(City)).subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [ConfigurationError]
    assert "partial_object takes pieces of text" in str(errors[0])


class Odd:
    pass


class HoldsOdd(Struct):
    odd: Odd


@pytest.mark.parametrize(
    "kind", [5, "City", Odd, HoldsOdd, list[Odd], City | dict, Callable, City("Rome"), ...]
)
def test_undecodable_type_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="msgspec cannot decode JSON into"):
        ops.partial_object(kind)


@pytest.mark.parametrize("kind", [int, str, None, bool])
def test_scalar_type_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="is a scalar: wrap it"):
        ops.partial_object(kind)


def test_value_is_made_once() -> None:
    out: list[PartialObject[City]] = []
    subject: rx.Subject[str] = rx.Subject()
    subject.pipe(ops.partial_object(City)).subscribe(out.append)
    subject.on_next('{"name": "R')
    assert out[0].value is out[0].value
    assert repr(out[0]) == f"PartialObject(value={City('R')!r}, complete=False)"


def test_type_checker_knows_result() -> None:
    source: Observable[str] = rx.empty()
    assert_type(source.pipe(ops.partial_object(City)), Observable[PartialObject[City]])
    assert_type(source.pipe(ops.partial_object(list[City])), Observable[PartialObject[list[City]]])


@given(st.lists(st.builds(City, st.text(), st.integers(0, 9), st.lists(st.text()))), st.data())
def test_every_split_gives_whole_value(cities: list[City], data: st.DataObject) -> None:
    text = msgspec.json.encode(cities).decode()
    cut = data.draw(st.integers(0, len(text)))
    snapshots: list[PartialObject[list[City]]] = []
    pieces = rx.of(text[:cut], text[cut:])
    pieces.pipe(ops.partial_object(list[City])).subscribe(snapshots.append)
    assert snapshots[-1].complete
    assert snapshots[-1].value == cities
    for snapshot in snapshots:
        so_far = snapshot.value
        assert so_far is not None
        assert so_far[:-1] == cities[: max(len(so_far) - 1, 0)]
