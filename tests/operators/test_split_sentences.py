"""Test `split_sentences` in virtual time; `tests/parsing` tests where sentences end."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, StreamChunk
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


def run(*messages: Any, disposed: float = 1000) -> list[Any]:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    result = scheduler.start(lambda: source.pipe(ops.split_sentences()), disposed=disposed)
    return result.messages


def test_sentence_comes_when_next_begins() -> None:
    messages = run(
        on_next(210, "Dr. No"),
        on_next(220, " left."),
        on_next(230, " "),
        on_next(240, "He's gone. I"),
        on_next(250, " know"),
        on_completed(260),
    )
    assert messages == [
        on_next(240, "Dr. No left. "),
        on_next(240, "He's gone. "),
        on_next(260, "I know"),
        on_completed(260),
    ]


def test_empty_text_is_no_sentence() -> None:
    assert run(on_next(210, ""), on_completed(220)) == [on_completed(220)]


def test_error_follows_received_text() -> None:
    failure = OSError("the wire is cut")
    first, last = run(on_next(210, "Half a sen"), on_error(220, failure))
    assert first == on_next(220, "Half a sen")
    assert (last.time, last.value.exception) == (220, failure)


def test_nothing_comes_after_dispose() -> None:
    assert run(on_next(210, "a. "), on_next(220, "b"), on_completed(230), disposed=215) == []


def test_non_text_error_names_text_operator() -> None:
    (only,) = run(on_next(210, StreamChunk("a")))
    assert isinstance(only.value.exception, ConfigurationError)
    assert "Put text() before it" in str(only.value.exception)


def test_subscriber_exception_passes() -> None:
    def fail(_: object) -> None:
        raise OSError("no")

    subject: rx.Subject[str] = rx.Subject()
    subject.pipe(ops.split_sentences()).subscribe(fail)
    for piece in ("One. T", "wo. T"):
        with pytest.raises(OSError, match="no"):
            subject.on_next(piece)


@given(st.lists(st.text("aB1 .!。\n", max_size=6)))
def test_joined_sentences_equal_the_text(pieces: list[str]) -> None:
    out: list[str] = []
    whole: list[str] = []
    rx.from_iterable(pieces).pipe(ops.split_sentences()).subscribe(out.append)
    rx.of("".join(pieces)).pipe(ops.split_sentences()).subscribe(whole.append)
    assert out == whole
    assert "".join(out) == "".join(pieces)
