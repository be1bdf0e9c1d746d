"""Test `decode_ndjson` in virtual time; `tests/parsing` tests the decoder."""

from __future__ import annotations

from typing import Any

import pytest
from marbles import play_with_subscriptions
from reactivex.testing import ReactiveTest

from rxagents import LimitExceededError, StreamDecodeError
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed
subscribe = ReactiveTest.subscribe


def run(*messages: Any, **arguments: int) -> tuple[list[Any], list[Any]]:
    return play_with_subscriptions(ops.decode_ndjson(**arguments), *messages)


def test_values_come_with_completed_lines() -> None:
    messages, _ = run(
        on_next(210, b'{"a":'),
        on_next(220, b" 1}\r"),
        on_next(230, b"\n\n[2]\nnull\n"),
        on_completed(240),
    )
    assert messages == [
        on_next(230, {"a": 1}),
        on_next(230, [2]),
        on_next(230, None),
        on_completed(240),
    ]


def test_unterminated_last_line_comes_at_completion() -> None:
    messages, _ = run(on_next(210, b"1\n2"), on_completed(220))
    assert messages == [on_next(210, 1), on_next(220, 2), on_completed(220)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"1\n{x}\n2\n", StreamDecodeError), (b"1\n" + b"2" * 20, LimitExceededError)],
)
def test_bad_line_fails_after_earlier_values(data: bytes, kind: type[Exception]) -> None:
    messages, subscriptions = run(
        on_next(210, data), on_next(220, b"3\n"), on_completed(230), max_line_bytes=16
    )
    value, error = messages
    assert value == on_next(210, 1)
    assert error.time == 210
    assert type(error.value.exception) is kind
    assert subscriptions == [subscribe(200, 210)]


def test_cut_off_last_line_fails() -> None:
    messages, _ = run(on_next(210, b'1\n{"a"'), on_completed(220))
    value, error = messages
    assert value == on_next(210, 1)
    assert error.time == 220
    assert type(error.value.exception) is StreamDecodeError


def test_ten_thousand_values_in_one_read() -> None:
    burst = b"".join(b"%d\n" % i for i in range(10_000))
    messages, _ = run(on_next(210, burst), on_completed(220))
    assert [m.value.value for m in messages[:-1]] == list(range(10_000))
