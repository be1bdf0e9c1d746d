"""Test `guard_window`."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import reactivex as rx
from harmless import is_harmless, is_harmless_after_a_while
from hypothesis import given
from hypothesis import strategies as st
from marbles import play, play_twice
from mixtures import mixtures
from observing import Seen
from reactivex.testing import ReactiveTest
from running import run_async

import rxagents
from rxagents import (
    Answer,
    Complete,
    OutputError,
    Reasoning,
    StreamChunk,
    Thought,
    Token,
    ToolStart,
)
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed
Check = Callable[[str], bool] | Callable[[str], Awaitable[bool]]


class AsyncCheck:
    async def __call__(self, text: str) -> bool:
        return await is_harmless_after_a_while(text)


CHECKS: list[Check] = [
    is_harmless,
    is_harmless_after_a_while,
    AsyncCheck(),
    partial(is_harmless_after_a_while),
]


def run(*messages: Any, size: int = 3, disposed: float = 1000.5) -> Any:
    return play(ops.guard_window(is_harmless, size), *messages, disposed=disposed)


def released(items: list[Any], check: Check = is_harmless, size: int = 3) -> list[Any]:
    """Return the emitted items, and then the end."""

    async def go() -> list[Any]:
        seen = Seen(rx.from_iterable(items).pipe(ops.guard_window(check, size)))
        await seen.over.wait()
        return seen.notes

    return run_async(go())


def test_text_released_after_next_window() -> None:
    seen = run(*(on_next(210 + n, letter) for n, letter in enumerate("uvwxyz")), on_completed(220))
    assert seen == [
        *(on_next(215, letter) for letter in "uvw"),
        *(on_next(220, letter) for letter in "xyz"),
        on_completed(220),
    ]


def test_refused_text_fails_unseen() -> None:
    *seen, end = run(*(on_next(210 + n, letter) for n, letter in enumerate("abcdefxbadxx")))
    assert seen == [
        *(on_next(215, letter) for letter in "abc"),
        *(on_next(218, letter) for letter in "def"),
    ]
    assert end.time == 221
    assert isinstance(end.value.exception, OutputError)


def test_rest_is_checked_at_end() -> None:
    *seen, end = run(on_next(210, "b"), on_next(211, "ad"), on_completed(212))
    assert seen == []
    assert end.time == 212
    assert isinstance(end.value.exception, OutputError)


def test_error_follows_checked_text_at_once() -> None:
    failure = OSError("cut")
    assert run(on_next(210, "ok"), on_error(212, failure)) == [
        on_next(212, "ok"),
        on_error(212, failure),
    ]
    (end,) = run(on_next(210, "bad"), on_error(212, failure))
    assert isinstance(end.value.exception, OutputError)


def test_empty_and_endless_sources() -> None:
    assert run(on_completed(210)) == [on_completed(210)]
    assert run() == []
    assert run(on_next(210, "a")) == []


@given(st.integers(200, 230))
def test_nothing_comes_after_dispose(disposed: int) -> None:
    messages = [on_next(210 + n, letter) for n, letter in enumerate("uvwxyz")]
    whole = run(*messages, on_completed(220))
    assert run(*messages, on_completed(220), disposed=disposed + 0.5) == [
        message for message in whole if message.time <= disposed
    ]


def test_subscriptions_share_nothing() -> None:
    guard = ops.guard_window(is_harmless, 1)
    first, second = play_twice(
        guard, 200, 205, on_next(10, "a"), on_next(20, "b"), on_completed(30)
    )
    assert first == [on_next(220, "a"), on_next(230, "b"), on_completed(230)]
    assert second == [on_next(225, "a"), on_next(235, "b"), on_completed(235)]


def test_items_without_text_keep_place() -> None:
    start = ToolStart("call_1", "add")
    seen = run(
        on_next(210, start),
        on_next(211, "ab"),
        on_next(212, start),
        on_next(213, "cd"),
        on_next(214, "ef"),
        on_completed(220),
    )
    assert seen == [
        on_next(210, start),
        on_next(214, "ab"),
        on_next(214, start),
        on_next(220, "cd"),
        on_next(220, "ef"),
        on_completed(220),
    ]


@pytest.mark.parametrize(
    "item",
    [
        StreamChunk("bad"),
        StreamChunk("bad", finish_reason="stop"),
        StreamChunk(reasoning="bad"),
        StreamChunk(refusal="bad", finish_reason="stop"),
        Token("bad"),
        Reasoning("bad"),
        Thought("bad"),
        Answer("bad"),
        Complete("bad"),
        "bad",
    ],
)
def test_every_item_with_text_is_checked(item: Any) -> None:
    (error,) = released([item])
    assert isinstance(error, OutputError)


def test_whole_texts_are_checked_apart() -> None:
    items = [Token("b"), Answer("ad"), Token("b")]
    assert released(items, size=9) == [*items, "end"]


@pytest.mark.parametrize("check", CHECKS)
def test_check_can_be_asynchronous(check: Check) -> None:
    assert released(list("uvwxyz"), check) == [*"uvwxyz", "end"]
    *seen, error = released(list("abcdefxbadxx"), check)
    assert seen == list("abcdef")
    assert isinstance(error, OutputError)


@pytest.mark.parametrize("verdict", [None, 1, "yes"])
def test_non_bool_verdict_is_configuration_error(verdict: Any) -> None:
    (error,) = released(["a"], lambda _: verdict)
    assert isinstance(error, rxagents.ConfigurationError)


def test_exception_of_check_ends_stream() -> None:
    def fail(_: str) -> bool:
        raise LookupError("no list")

    (error,) = released(["a"], fail)
    assert isinstance(error, LookupError)


def test_long_item_is_checked_once() -> None:
    checked: list[int] = []

    def check(text: str) -> bool:
        checked.append(len(text))
        return True

    released(["a" * 1000, *"b" * 1000], check, size=100)
    assert sum(checked) < 6_000


@pytest.mark.parametrize("size", [0, -1, True, "1", None, math.nan, 1.5])
def test_invalid_size_is_refused(size: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="size"):
        ops.guard_window(is_harmless, size)


@pytest.mark.parametrize("check", [None, "bad", True])
def test_check_must_be_a_function(check: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="check"):
        ops.guard_window(check, 3)


@given(mixtures(), st.integers(1, 12))
def test_items_come_out_unchanged(items: list[Any], size: int) -> None:
    out: list[Any] = []
    rx.from_iterable(items).pipe(ops.guard_window(lambda _: True, size)).subscribe(out.append)
    assert len(out) == len(items)
    assert all(one is other for one, other in zip(out, items, strict=True))


@st.composite
def split_texts(draw: st.DrawFn) -> list[str]:
    """The text contains a forbidden word and is cut at random places."""
    text = draw(st.text("xba", max_size=30)) + "bad" + draw(st.text("xd", max_size=12))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=20)))
    return [text[at:to] for at, to in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(split_texts(), st.integers(3, 8))
def test_forbidden_word_never_released_in_part(pieces: list[str], size: int) -> None:
    out: list[str] = []
    errors: list[Exception] = []
    rx.from_iterable(pieces).pipe(ops.guard_window(is_harmless, size)).subscribe(
        out.append, errors.append
    )
    assert len("".join(out)) <= "".join(pieces).index("bad")
    assert "".join(pieces).startswith("".join(out))
    assert isinstance(errors[0], OutputError)


def test_ten_thousand_pieces_do_not_nest() -> None:
    out: list[str] = []
    rx.from_iterable(["a"] * 10_000).pipe(ops.guard_window(is_harmless, 50)).subscribe(out.append)
    assert out == ["a"] * 10_000
