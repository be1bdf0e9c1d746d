"""Snapshots and errors of the partial JSON parser."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from json_pieces import fed

from rxagents.core.errors import LimitExceededError, OutputError


def values(*pieces: str) -> list[Any]:
    snapshots, parser = fed(*pieces)
    assert parser.error is None
    return [snapshot.value for snapshot in snapshots]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", {}),
        ("[", []),
        ('{"a', {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a": "', {"a": ""}),
        ('{"a": "x', {"a": "x"}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "x\\u00', {"a": "x"}),
        ('{"a": "x\\u00e9', {"a": "xé"}),
        ('{"a": "x\\ud83d', {"a": "x"}),
        ('{"a": "x\\ud83d\\', {"a": "x"}),
        ('{"a": "x\\ud83d\\ude0', {"a": "x"}),
        ('{"a": "x\\uD83D\\uDE00', {"a": "x😀"}),
        ('{"a": "x\\"y"', {"a": 'x"y'}),
        ('{"a": 1', {}),
        ('{"a": 1 ', {"a": 1}),
        ('{"a": 1, "b', {"a": 1}),
        ('{"a": tru', {}),
        ('{"a": true,', {"a": True}),
        ("[1, 2, 3", [1, 2]),
        ("[1, [2, {", [1, [2, {}]]),
        ('[{"a": [null', [{"a": []}]),
        ('[{"a": [null]', [{"a": [None]}]),
        ("[-1.5e3,", [-1500.0]),
    ],
)
def test_value_so_far(text: str, expected: Any) -> None:
    snapshots, parser = fed(text)
    assert snapshots[-1].value == expected
    assert not snapshots[-1].complete
    assert parser.error is None


def test_snapshot_only_after_possible_change() -> None:
    pieces = [
        "He",
        "re: ",
        "{",
        ' "a',
        'b"',
        " :",
        " ",
        '"',
        "x",
        "\\",
        "n",
        '"',
        " , ",
        '"c":',
        "1",
    ]
    snapshots, parser = fed(*pieces)
    assert [snapshot.value for snapshot in snapshots] == [
        {},
        {"ab": ""},
        {"ab": "x"},
        {"ab": "x\n"},
    ]
    assert [snapshot.value for snapshot in parser.feed("2 ")] == [{"ab": "x\n", "c": 12}]
    (last,) = parser.feed("}")
    assert (last.value, last.complete) == ({"ab": "x\n", "c": 12}, True)
    assert parser.feed(' {"more": 1}') == []


@pytest.mark.parametrize("before", ["", "Sure! Here it is:\n", "```json\n", "\ufeff", '"'])
@pytest.mark.parametrize("after", ["", "\n```", " And [this] {too}", '"', "}"])
def test_text_around_json_is_skipped(before: str, after: str) -> None:
    whole = before + '{"a": [1]}' + after
    snapshots, parser = fed(*whole)
    assert snapshots[-1].value == {"a": [1]}
    assert snapshots[-1].complete
    assert parser.flush() == []
    assert parser.error is None


def test_snapshots_are_readable_in_any_order() -> None:
    text = json.dumps({"a": "long text", "b": [1, 2, {"c": None}]})
    early = [snapshot.value for snapshot in fed(*text)[0]]
    late, _ = fed(*text)
    assert [snapshot.value for snapshot in reversed(late)] == early[::-1]
    assert late[0].value is late[0].value


def test_readings_drop_incomplete_members() -> None:
    (snapshot,), _ = fed('{"a": 1, "b": [{"c": 2}, {"d": 3, "e": "x')
    assert [msgspec.json.decode(reading) for reading in snapshot.readings()] == [
        {"a": 1, "b": [{"c": 2}, {"d": 3, "e": "x"}]},
        {"a": 1, "b": [{"c": 2}, {"d": 3}]},
        {"a": 1, "b": [{"c": 2}]},
        {"a": 1},
    ]


def test_snapshot_repr_shows_value() -> None:
    (snapshot,), _ = fed('{"a": 1, ')
    assert repr(snapshot) == "PartialJson(value={'a': 1}, complete=False)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1}", "expected a key in double quotes instead of 'a: 1}'"),
        ("{'a': 1}", "a key"),
        ('{"a" 1}', "a colon"),
        ('{"a": 1 "b": 2}', "a comma or }"),
        ("[1 2]", "a comma or ]"),
        ("[1}", "a comma or ]"),
        ("[1,]", "a value"),
        ('{"a": 1,}', "a key"),
        ("[nul]", "a value"),
        ("[nope ", "a value"),
        ("[01]", "a value"),
        ("[NaN]", "a value"),
        ("[1e999]", "a value"),
        ("[" + "1" * 5000, "a value"),
        ('["\\x"]', "a valid escape"),
        ('["\\N"]', "a valid escape"),
        ('["\\U0041"]', "a valid escape"),
        ('["\\ude00"]', "a valid escape"),
        ('["\\ud83d\\u0041"]', "a valid escape"),
        ('["a\nb"]', "an escape for the control character"),
        ("[// no]", "a value"),
    ],
)
def test_invalid_json_error_names_position(text: str, message: str) -> None:
    _, parser = fed(text)
    assert isinstance(parser.error, OutputError)
    assert message in str(parser.error)
    assert parser.feed("}") == []


def test_snapshot_before_error_is_returned() -> None:
    (snapshot,), parser = fed('{"a": 1, "b": "x", oops')
    assert snapshot.value == {"a": 1, "b": "x"}
    assert isinstance(parser.error, OutputError)


@pytest.mark.parametrize("text", ["", "No.", '"text"', "12", "true"])
def test_text_without_json_fails_at_end(text: str) -> None:
    snapshots, parser = fed(text)
    assert parser.flush() == []
    assert snapshots == []
    assert isinstance(parser.error, OutputError)
    assert "no JSON" in str(parser.error)


def test_incomplete_answer_fails_at_end() -> None:
    _, parser = fed('{"a": 1')
    assert parser.error is None
    parser.flush()
    assert isinstance(parser.error, OutputError)
    assert "ended before" in str(parser.error)


def test_nesting_is_limited() -> None:
    snapshots, parser = fed("[" * 3, max_depth=3)
    assert snapshots[-1].value == [[[]]]
    assert parser.error is None
    assert parser.feed("{") == []
    assert isinstance(parser.error, LimitExceededError)
    assert "3 levels" in str(parser.error)


def test_lone_surrogate_is_replaced() -> None:
    assert values('["\ud83d"]') == [["?"]]
