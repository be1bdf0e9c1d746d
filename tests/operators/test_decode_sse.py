"""Test `decode_sse` in virtual time; `tests/parsing` tests the decoder."""

from __future__ import annotations

from typing import Any

import pytest
from marbles import play_with_subscriptions
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import LimitExceededError
from rxagents import operators as ops
from rxagents.parsing.sse import ServerSentEvent

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed
subscribe = ReactiveTest.subscribe


def run(*messages: Any, **arguments: int) -> tuple[list[Any], list[Any]]:
    return play_with_subscriptions(ops.decode_sse(**arguments), *messages)


def test_events_come_with_completing_bytes() -> None:
    messages, _ = run(
        on_next(210, b"data: a\n"),
        on_next(220, b"\nevent: x\nid: 1\nda"),
        on_next(230, b"ta: b\r\n\r"),
        on_next(240, b"\ndata: c\n\ndata: d\n\n"),
        on_completed(250),
    )
    assert messages == [
        on_next(220, ServerSentEvent("message", "a", "")),
        on_next(230, ServerSentEvent("x", "b", "1")),
        on_next(240, ServerSentEvent("message", "c", "1")),
        on_next(240, ServerSentEvent("message", "d", "1")),
        on_completed(250),
    ]


def test_event_without_blank_line_is_dropped() -> None:
    messages, _ = run(on_next(210, b"data: a\n\ndata: b\n"), on_completed(220))
    assert messages == [on_next(210, ServerSentEvent("message", "a")), on_completed(220)]


def test_invalid_utf8_is_replaced() -> None:
    messages, _ = run(on_next(210, b"data: \xff\n\n"), on_completed(220))
    assert messages == [on_next(210, ServerSentEvent("message", "\ufffd")), on_completed(220)]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_all_bytes_types_are_decoded(kind: Any) -> None:
    messages, _ = run(on_next(210, kind(b"data: a\n\n")), on_completed(220))
    assert messages == [on_next(210, ServerSentEvent("message", "a")), on_completed(220)]


def test_mutable_buffer_can_be_reused() -> None:
    buffer = bytearray(b"data: a")
    messages: list[Any] = [on_next(210, buffer), on_next(230, b"\n\n")]
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    scheduler.schedule_absolute(220, lambda *_: buffer.__setitem__(slice(0, 7), b"-------"))
    result = scheduler.start(lambda: source.pipe(ops.decode_sse()))
    assert result.messages == [on_next(230, ServerSentEvent("message", "a"))]


def test_oversized_event_fails_after_earlier_events() -> None:
    messages, subscriptions = run(
        on_next(210, b"data: a\n\ndata: " + b"x" * 20),
        on_next(220, b"\n\ndata: b\n\n"),
        on_completed(230),
        max_event_bytes=16,
    )
    event, error = messages
    assert event == on_next(210, ServerSentEvent("message", "a"))
    assert error.time == 210
    assert isinstance(error.value.exception, LimitExceededError)
    assert subscriptions == [subscribe(200, 210)]


def test_ten_thousand_events_in_one_read() -> None:
    burst = b"".join(b"data: %d\n\n" % i for i in range(10_000))
    messages, _ = run(on_next(210, burst), on_completed(220))
    assert [int(m.value.value.data) for m in messages[:-1]] == list(range(10_000))
