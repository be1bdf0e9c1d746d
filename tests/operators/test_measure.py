"""Test `measure`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from marbles import play, play_twice
from observing import FAILURE, Numbers, Seen, fail, in_thread, letters
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

import rxagents
from rxagents import (
    Answer,
    Complete,
    Reasoning,
    StreamChunk,
    Thought,
    Token,
    ToolCallDelta,
    ToolEnd,
    ToolStart,
    Usage,
)
from rxagents import operators as ops
from rxagents.operators import Measurement

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


def measured(*messages: Any, disposed: float = 1000.5) -> Measurement:
    """Return the measurement of a stream; check that the stream is unchanged."""
    reports: list[Measurement] = []
    seen = play(ops.measure(reports.append), *messages, disposed=disposed)
    assert seen == [message for message in messages if message.time <= disposed]
    (report,) = reports
    return report


def test_times_count_items_with_content() -> None:
    usage = Usage(5, 8, 13)
    found = measured(
        on_next(203, StreamChunk()),
        on_next(210, StreamChunk("a")),
        on_next(212, StreamChunk(reasoning="b")),
        on_next(220, StreamChunk(tool_calls=(ToolCallDelta(0),))),
        on_next(230, StreamChunk(finish_reason="tool_calls")),
        on_next(231, StreamChunk(usage=usage)),
        on_completed(240),
    )
    assert found == Measurement(10, 20, 40, 3, 8, usage, "tool_calls")
    assert found.mean_gap == 5
    assert found.items_per_second == pytest.approx(3 / 20)
    assert found.tokens_per_second == pytest.approx(8 / 20)


def test_only_text_events_count() -> None:
    usage = Usage(5, 8, 13)
    found = measured(
        on_next(210, Reasoning("hm")),
        on_next(215, Token("a")),
        on_next(220, Thought("a")),
        on_next(221, ToolStart("1", "add")),
        on_next(222, ToolEnd("1", "add")),
        on_next(230, Answer("a")),
        on_next(231, Complete("a", usage, finish_reason="stop")),
        on_completed(232),
    )
    assert found == Measurement(10, 15, 32, 2, 5, usage, "stop")


def test_items_of_other_types_count() -> None:
    assert measured(on_next(210, "a"), on_next(211, 7), on_completed(212)).items == 2


def test_last_usage_and_finish_reason_count() -> None:
    found = measured(
        on_next(210, StreamChunk("a", usage=Usage(1, 1))),
        on_next(211, StreamChunk("b", usage=Usage(1, 2), finish_reason="stop")),
        on_next(212, StreamChunk()),
        on_completed(213),
    )
    assert found.usage == Usage(1, 2)
    assert found.finish_reason == "stop"


def test_empty_source_has_no_rate() -> None:
    found = measured(on_completed(210))
    assert found == Measurement(None, 0, 10)
    assert (found.mean_gap, found.items_per_second, found.tokens_per_second) == (None, None, None)


def test_one_item_has_no_gap() -> None:
    found = measured(on_next(204, "a"), on_completed(210))
    assert found.mean_gap is None
    assert found.longest_gap == 0
    assert found.items_per_second == pytest.approx(1 / 4)
    assert found.tokens_per_second is None


def test_error_ends_measurement_at_once() -> None:
    assert measured(on_next(204, "a"), on_error(210, OSError("cut"))).end == 10


@given(st.integers(200, 240))
def test_dispose_ends_measurement(disposed: int) -> None:
    messages = [on_next(210, "a"), on_next(220, "b"), on_completed(230)]
    found = measured(*messages, disposed=disposed + 0.5)
    assert found.items == sum(disposed >= time for time in (210, 220))
    assert found.end == min(disposed + 0.5, 230) - 200


def test_subscriptions_are_measured_separately() -> None:
    reports: list[Measurement] = []
    play_twice(ops.measure(reports.append), 200, 205, on_next(10, "a"), on_completed(20))
    assert reports == [Measurement(10, 10, 20, 1)] * 2


async def test_report_comes_before_the_end() -> None:
    order: list[str] = []
    rx.of("a").pipe(ops.measure(lambda _: order.append("report"))).subscribe(
        on_completed=lambda: order.append("end")
    )
    assert order == ["report", "end"]


async def test_raising_report_is_harmless(loop_errors: list[Exception]) -> None:
    failure = LookupError("no log")

    def fail(_: Measurement) -> None:
        raise failure

    seen = Seen(rx.of("a").pipe(ops.measure(fail)))
    assert seen.notes == ["a", "end"]
    rx.never().pipe(ops.measure(fail)).subscribe().dispose()
    assert loop_errors == [failure] * 2
    loop_errors.clear()


async def test_report_can_dispose() -> None:
    reports: list[Measurement] = []
    subject: Subject[str] = Subject()

    def leave(found: Measurement) -> None:
        reports.append(found)
        seen.subscription.dispose()

    seen = Seen(subject.pipe(ops.measure(leave)))
    subject.on_completed()
    assert seen.notes == []
    assert len(reports) == 1


async def test_plain_subscriber_disposes_from_other_thread() -> None:
    reports: list[Measurement] = []
    subject: Subject[str] = Subject()
    seen = Seen(subject.pipe(ops.measure(reports.append)))
    await asyncio.sleep(2)
    subject.on_next("a")
    in_thread(seen.subscription.dispose)
    seen.subscription.dispose()
    subject.on_next("b")
    assert seen.notes == ["a"]
    (found,) = reports
    assert found.first == pytest.approx(2)


async def test_raising_subscriber_is_reported_once(loop_errors: list[Exception]) -> None:
    reports: list[Measurement] = []
    rxagents.from_aiter(letters).pipe(ops.measure(reports.append)).subscribe(fail)
    await asyncio.sleep(1)
    assert loop_errors == [FAILURE]
    assert [found.items for found in reports] == [1]
    loop_errors.clear()


def test_run_raises_what_the_subscriber_raises() -> None:
    reports: list[Measurement] = []
    with pytest.raises(LookupError):
        rxagents.run(rxagents.from_aiter(letters).pipe(ops.measure(reports.append)), fail)
    assert len(reports) == 1


async def test_full_reader_stops_source() -> None:
    numbers = Numbers()
    stream = rxagents.from_aiter(numbers).pipe(ops.measure(lambda _: None))
    async with rxagents.to_aiter(stream, capacity=4) as reader:
        await asyncio.sleep(100)
        assert numbers.made == 4
        assert await anext(reader) == 0


@pytest.mark.parametrize("report", [None, "print", 7, True])
def test_non_function_is_refused(report: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="report"):
        ops.measure(report)


def test_error_without_loop_names_run() -> None:
    errors: list[Exception] = []
    rx.of("a").pipe(ops.measure(print)).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]
