"""The scanner of JSON answers: it agrees with msgspec on every text, at every cut."""

from __future__ import annotations

import gc
import json
import time
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxagents.core.errors import LimitExceededError, OutputError
from rxagents.parsing.json_snapshots import PartialJson
from rxagents.parsing.partial_json import PartialJsonParser


def fed(*pieces: str, max_depth: int = 128) -> tuple[list[PartialJson], PartialJsonParser]:
    parser = PartialJsonParser(max_depth)
    return [snapshot for piece in pieces for snapshot in parser.feed(piece)], parser


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


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children)
    ),
    max_leaves=8,
).filter(lambda value: isinstance(value, (list, dict)))


def is_beginning(so_far: Any, whole: Any) -> bool:
    """Whether `so_far` may become `whole` by adding to it alone."""
    if isinstance(so_far, dict):
        return all(is_beginning(value, whole[key]) for key, value in so_far.items())
    if isinstance(so_far, list):
        return len(so_far) <= len(whole) and all(map(is_beginning, so_far, whole))
    return bool(whole.startswith(so_far)) if isinstance(so_far, str) else bool(so_far == whole)


@settings(deadline=None)
@given(JSON, st.booleans(), st.sampled_from([None, 1]), st.lists(st.integers(0, 400)))
def test_snapshots_grow_at_every_split(
    value: Any, only_ascii: bool, indent: int | None, cuts: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=only_ascii, indent=indent)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    snapshots, parser = fed(*pieces)
    assert parser.error is None
    assert [snapshot.complete for snapshot in snapshots[:-1]] == [False] * (len(snapshots) - 1)
    assert snapshots[-1].complete
    assert snapshots[-1].value == value
    for older, newer in pairwise(snapshots):
        assert is_beginning(older.value, newer.value)


@settings(deadline=None)
@given(JSON, st.integers(0, 400), st.integers(1, 5))
def test_splits_of_prefix_agree(value: Any, end: int, size: int) -> None:
    text = json.dumps(value)[:end]
    split, _ = fed(*(text[i : i + size] for i in range(0, len(text), size)))
    whole, _ = fed(text)
    assert [s.value for s in split[-1:]] == [s.value for s in whole]


FRAGMENTS = ["{", "}", "[", "]", ",", ":", " ", '"', '"a"', "1", "-", "0", ".5", "e1", "null",
             "tru", "e", "\\", "\\n", "\\u0041", "\\ud83d", "\\ude00", "x", "\n", "é"]  # fmt: skip


@settings(deadline=None, max_examples=500)
@example(["[", '"', "\\ud83d", "\\u0041", '"', "]"])
@example(["{", '"a"', ":", "1", "}"])
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(lambda rest: ["[", *rest]))
def test_accepts_what_msgspec_accepts(pieces: list[str]) -> None:
    snapshots, parser = fed(*pieces)
    text = "".join(pieces)
    try:
        value = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        parser.flush()
        assert parser.error is not None or _has_more_after_the_end(text)
    else:
        assert parser.error is None
        assert snapshots[-1].complete
        assert snapshots[-1].value == value
    for snapshot in snapshots:
        assert isinstance(snapshot.value, (dict, list))


def _has_more_after_the_end(text: str) -> bool:
    return any(_is_json(text[:end]) for end in range(1, len(text)))


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return False
    return True


@pytest.mark.parametrize(
    "piece",
    ["a", "\\n", "\\u0041", '", "', '", 1, "', '", [{"k": []}], "'],
    ids=["text", "escapes", "long escapes", "strings", "numbers", "containers"],
)
@pytest.mark.parametrize("size", [3, 1000])
def test_cost_per_character_is_constant(piece: str, size: int) -> None:
    def seconds_per_character(count: int) -> float:
        text = '["' + piece * (count // len(piece))
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        times = []
        for _ in range(3):
            start = time.process_time()
            fed(*pieces)
            times.append(time.process_time() - start)
        return min(times) / count

    gc.disable()
    try:
        assert seconds_per_character(100_000) < 3 * seconds_per_character(10_000)
    finally:
        gc.enable()


@pytest.mark.parametrize("text", ["1" * 100_000, '"' + "a" * 100_000, " " * 100_000])
def test_long_tokens_are_linear(text: str) -> None:
    start = time.process_time()
    fed("[", *text)
    assert time.process_time() - start < 3
