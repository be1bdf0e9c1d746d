"""Test the removal of what a continuation repeats."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxagents.parsing.overlap import OverlapRemover

words = st.text("ab c\n", max_size=12)


def remove(repeated: tuple[str, ...], space: str, *pieces: str) -> str:
    remover = OverlapRemover(repeated, space)
    return "".join([*map(remover.feed, pieces), remover.flush()])


@pytest.mark.parametrize(
    ("continuation", "rest"),
    [
        ("is blue", " blue"),
        ("  \nis blue", " blue"),
        ("The sky is blue", " blue"),
        ("green", "green"),
        ("i", "i"),
        ("The sky was", "The sky was"),
        ("is", ""),
        ("isis", "is"),
        ("", ""),
    ],
)
def test_only_whole_repetition_is_removed(continuation: str, rest: str) -> None:
    assert remove(("is", "The sky is"), "", continuation) == rest


def test_space_is_removed_as_far_as_it_repeats() -> None:
    assert remove(("is",), "\n\n", "is\n", "\n\n  blue") == "\n  blue"
    assert remove(("is",), "\n\n", "is\n", " blue") == " blue"
    assert remove((), " ", " ", " blue") == " blue"


@given(
    repeated=words, space=st.text(" \n", max_size=3), rest=words, cuts=st.sets(st.integers(0, 40))
)
def test_every_split_gives_the_same(repeated: str, space: str, rest: str, cuts: set[int]) -> None:
    text = repeated + space + rest
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert remove((repeated.strip(),), space, *pieces) == remove((repeated.strip(),), space, text)
    if repeated and repeated == repeated.strip():
        assert remove((repeated,), space, *pieces) == rest


def test_text_passes_at_once_after_the_decision() -> None:
    remover = OverlapRemover(("is blue",), "")
    assert [remover.feed(piece) for piece in ("is", " bl", "ue and", " wide")] == [
        "",
        "",
        " and",
        " wide",
    ]
    remover = OverlapRemover(("is blue",), "")
    assert [remover.feed(piece) for piece in ("is", " bl", "ack", "x")] == ["", "", "is black", "x"]
