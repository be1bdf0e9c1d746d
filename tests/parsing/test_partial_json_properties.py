"""The partial JSON parser agrees with msgspec at every split, and its cost is linear."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from cpu_time import cpu_seconds
from hypothesis import example, given, settings
from hypothesis import strategies as st
from json_pieces import fed
from matrix import size

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
    """Return whether `so_far` can become `whole` by additions only."""
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


@settings(deadline=None, max_examples=size(500, quick=100))
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
        return cpu_seconds(lambda: fed(*pieces)) / count

    assert seconds_per_character(100_000) < 3 * seconds_per_character(10_000)


@pytest.mark.parametrize("text", ["1" * 100_000, '"' + "a" * 100_000, " " * 100_000])
def test_long_tokens_are_linear(text: str) -> None:
    start = time.process_time()
    fed("[", *text)
    assert time.process_time() - start < 3
