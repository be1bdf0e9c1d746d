"""Test `partial_json` in virtual time; `tests/parsing` tests the scanner."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, LimitExceededError, OutputError, StreamChunk
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


def run(*messages: Any) -> tuple[list[Any], Any, Any]:
    """Return the snapshots as (time, value, complete), the end and the source's subscriptions."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    observer: Any = scheduler.start(lambda: source.pipe(ops.partial_json()))
    *snapshots, end = observer.messages
    emitted = [(m.time, m.value.value.value, m.value.value.complete) for m in snapshots]
    return emitted, end, source.subscriptions


def test_value_grows_until_complete() -> None:
    emitted, end, _ = run(
        on_next(210, "```json\n"),
        on_next(220, '{"city": "Rom'),
        on_next(230, 'e", '),
        on_next(240, '"size"'),
        on_next(250, ": 28"),
        on_next(260, "73}"),
        on_next(270, "\n```"),
        on_completed(280),
    )
    assert emitted == [
        (220, {"city": "Rom"}, False),
        (230, {"city": "Rome"}, False),
        (260, {"city": "Rome", "size": 2873}, True),
    ]
    assert end == on_completed(280)


def test_invalid_json_fails_after_snapshots() -> None:
    emitted, end, subscriptions = run(on_next(210, '{"a": "x", b'), on_next(220, "}"))
    assert emitted == [(210, {"a": "x"}, False)]
    assert end.time == 210
    assert isinstance(end.value.exception, OutputError)
    assert subscriptions == [subscribe(200, 210)]


def test_cut_off_answer_fails_after_snapshots() -> None:
    emitted, end, _ = run(on_next(210, '{"a": "x'), on_completed(220))
    assert emitted == [(210, {"a": "x"}, False)]
    assert end.time == 220
    assert isinstance(end.value.exception, OutputError)


def test_answer_without_json_is_an_error() -> None:
    emitted, end, _ = run(on_next(210, "I cannot."), on_completed(220))
    assert emitted == []
    assert isinstance(end.value.exception, OutputError)


def test_nesting_depth_is_limited() -> None:
    emitted, end, _ = run(on_next(210, "[" * 128), on_next(220, "["))
    assert [time for time, *_ in emitted] == [210]
    assert end.time == 220
    assert isinstance(end.value.exception, LimitExceededError)


def test_source_error_passes() -> None:
    failure = OSError("the wire is cut")
    emitted, end, _ = run(on_next(210, "["), on_error(220, failure))
    assert (emitted, end.time) == ([(210, [], False)], 220)
    assert end.value.exception is failure


def test_non_text_error_names_text_operator() -> None:
    emitted, end, _ = run(on_next(210, StreamChunk("[")))
    assert emitted == []
    assert isinstance(end.value.exception, ConfigurationError)
    assert "Put text() before it" in str(end.value.exception)


def test_subscriptions_share_nothing() -> None:
    answer = rx.of("[1, ", "2]").pipe(ops.partial_json())
    for _ in range(2):
        out: list[Any] = []
        answer.subscribe(out.append)
        assert [snapshot.value for snapshot in out] == [[1], [1, 2]]


def test_subscriber_exception_passes() -> None:
    def fail(_: object) -> None:
        raise OSError("no")

    subject: rx.Subject[str] = rx.Subject()
    subject.pipe(ops.partial_json()).subscribe(fail)
    for piece in ("[", "1, "):
        with pytest.raises(OSError, match="no"):
            subject.on_next(piece)


@given(st.lists(st.integers(1, 6)))
def test_every_split_gives_same_value(sizes: list[int]) -> None:
    text, pieces = 'Here: {"a": "b\\u00e9\\n", "c": [1, {"d": null}]} Bye.', []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    out: list[Any] = []
    rx.of(*pieces, text).pipe(ops.partial_json()).subscribe(out.append)
    assert out[-1].complete
    assert out[-1].value == {"a": "bé\n", "c": [1, {"d": None}]}
