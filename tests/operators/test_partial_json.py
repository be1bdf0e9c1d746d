"""`partial_json` in virtual time; what its scanner does is told by `tests/parsing`."""

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
    told = [(m.time, m.value.value.value, m.value.value.complete) for m in snapshots]
    return told, end, source.subscriptions


def test_the_value_grows_and_the_last_is_complete() -> None:
    told, end, _ = run(
        on_next(210, "```json\n"),
        on_next(220, '{"city": "Rom'),
        on_next(230, 'e", '),
        on_next(240, '"size"'),
        on_next(250, ": 28"),
        on_next(260, "73}"),
        on_next(270, "\n```"),
        on_completed(280),
    )
    assert told == [
        (220, {"city": "Rom"}, False),
        (230, {"city": "Rome"}, False),
        (260, {"city": "Rome", "size": 2873}, True),
    ]
    assert end == on_completed(280)


def test_invalid_json_ends_the_stream_after_what_came_before() -> None:
    told, end, subscriptions = run(on_next(210, '{"a": "x", b'), on_next(220, "}"))
    assert told == [(210, {"a": "x"}, False)]
    assert end.time == 210
    assert isinstance(end.value.exception, OutputError)
    assert subscriptions == [subscribe(200, 210)]


def test_a_cut_off_answer_is_an_error_after_all_snapshots() -> None:
    told, end, _ = run(on_next(210, '{"a": "x'), on_completed(220))
    assert told == [(210, {"a": "x"}, False)]
    assert end.time == 220
    assert isinstance(end.value.exception, OutputError)


def test_an_answer_without_json_is_an_error() -> None:
    told, end, _ = run(on_next(210, "I cannot."), on_completed(220))
    assert told == []
    assert isinstance(end.value.exception, OutputError)


def test_nesting_is_limited() -> None:
    told, end, _ = run(on_next(210, "[" * 128), on_next(220, "["))
    assert [time for time, *_ in told] == [210]
    assert end.time == 220
    assert isinstance(end.value.exception, LimitExceededError)


def test_an_error_of_the_source_passes() -> None:
    failure = OSError("the wire is cut")
    told, end, _ = run(on_next(210, "["), on_error(220, failure))
    assert (told, end.time) == ([(210, [], False)], 220)
    assert end.value.exception is failure


def test_what_is_no_text_is_an_error_that_says_what_to_put_before() -> None:
    told, end, _ = run(on_next(210, StreamChunk("[")))
    assert told == []
    assert isinstance(end.value.exception, ConfigurationError)
    assert "put text() before it" in str(end.value.exception)


def test_subscriptions_share_nothing() -> None:
    answer = rx.of("[1, ", "2]").pipe(ops.partial_json())
    for _ in range(2):
        out: list[Any] = []
        answer.subscribe(out.append)
        assert [snapshot.value for snapshot in out] == [[1], [1, 2]]


def test_an_exception_of_the_subscriber_passes() -> None:
    def fail(_: object) -> None:
        raise OSError("no")

    subject: rx.Subject[str] = rx.Subject()
    subject.pipe(ops.partial_json()).subscribe(fail)
    for piece in ("[", "1, "):
        with pytest.raises(OSError, match="no"):
            subject.on_next(piece)


@given(st.lists(st.integers(1, 6)))
def test_every_split_ends_in_the_same_value(sizes: list[int]) -> None:
    text, pieces = 'Here: {"a": "b\\u00e9\\n", "c": [1, {"d": null}]} Bye.', []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    out: list[Any] = []
    rx.of(*pieces, text).pipe(ops.partial_json()).subscribe(out.append)
    assert out[-1].complete
    assert out[-1].value == {"a": "bé\n", "c": [1, {"d": None}]}
