"""Test `fallback_to`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, stall, subscribe_on_a_loop_that_ends
from reactivex import Observable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ErrorEvent, StreamCancelledError, StreamChunk, Token, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.core.events import ErrorInfo

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe

DOWN, WORSE = OSError("down"), OSError("worse")
ERROR = ErrorEvent(ErrorInfo.of(DOWN))


class Pair:
    """A cold source and the cold stream that it falls back to."""

    def __init__(self, source: list[Any], other: list[Any]) -> None:
        self.scheduler = TestScheduler()
        self.source = self.scheduler.create_cold_observable(*source)
        self.other = self.scheduler.create_cold_observable(*other)

    def run(self, disposed: float = 1000, **arguments: Any) -> list[Any]:
        observer: Any = self.scheduler.start(
            lambda: self.source.pipe(ops.fallback_to(self.other, **arguments)), disposed=disposed
        )
        messages: list[Any] = observer.messages
        return messages


OTHER = [on_next(10, "b"), on_completed(20)]


def test_other_starts_after_failure_before_content() -> None:
    pair = Pair([on_next(5, StreamChunk()), on_error(30, DOWN)], OTHER)
    assert pair.run() == [on_next(205, StreamChunk()), on_next(240, "b"), on_completed(250)]
    assert pair.source.subscriptions == [subscribe(200, 230)]
    assert pair.other.subscriptions == [subscribe(230, 250)]


def test_other_not_started_after_completion() -> None:
    pair = Pair([on_next(5, "a"), on_completed(30)], OTHER)
    assert pair.run() == [on_next(205, "a"), on_completed(230)]
    assert pair.other.subscriptions == []


def test_both_failing_gives_others_error() -> None:
    assert Pair([on_error(5, DOWN)], [on_error(5, WORSE)]).run() == [on_error(210, WORSE)]


def test_failure_after_content_needs_on_reset() -> None:
    source = [on_next(5, "a"), on_error(30, DOWN)]
    pair = Pair(source, OTHER)
    assert pair.run() == [on_next(205, "a"), on_error(230, DOWN)]
    assert pair.other.subscriptions == []
    assert Pair(source, OTHER).run(on_reset=lambda error: ("reset", error)) == [
        on_next(205, "a"),
        on_next(230, ("reset", DOWN)),
        on_next(240, "b"),
        on_completed(250),
    ]


@pytest.mark.parametrize("on", [OSError, (ValueError, OSError), Exception])
def test_chosen_kinds_of_error_continue(on: Any) -> None:
    assert Pair([on_error(5, DOWN)], OTHER).run(on=on) == [on_next(215, "b"), on_completed(225)]


def test_other_kinds_of_error_pass() -> None:
    pair = Pair([on_error(5, DOWN)], OTHER)
    assert pair.run(on=(ValueError, LookupError)) == [on_error(205, DOWN)]
    assert pair.other.subscriptions == []


def test_fallback_if_decides_by_error() -> None:
    asked: list[Exception] = []

    def ask(error: Exception) -> bool:
        asked.append(error)
        return len(asked) > 1

    assert Pair([on_error(5, DOWN)], OTHER).run(fallback_if=ask) == [on_error(205, DOWN)]
    assert Pair([on_error(5, WORSE)], OTHER).run(fallback_if=ask)[-1] == on_completed(225)
    assert asked == [DOWN, WORSE]


@pytest.mark.parametrize("name", ["on_reset", "fallback_if"])
def test_callback_exception_becomes_stream_error(name: str) -> None:
    def broken(_: Exception) -> Any:
        raise KeyError("mine")

    arguments: dict[str, Any] = {"on_reset": lambda _: "reset", name: broken}
    pair = Pair([on_next(5, "a"), on_error(30, DOWN)], OTHER)
    first, last = pair.run(**arguments)
    assert (first, last.time) == (on_next(205, "a"), 230)
    assert type(last.value.exception) is KeyError
    assert pair.other.subscriptions == []


def test_error_event_emitted_only_at_end() -> None:
    failing = [on_next(1, ERROR), on_error(5, DOWN)]
    assert Pair(failing, OTHER).run() == [on_next(215, "b"), on_completed(225)]
    assert Pair(failing, failing).run() == [on_next(210, ERROR), on_error(210, DOWN)]
    assert Pair([on_next(1, Token("x", timestamp=1)), *failing], OTHER).run() == [
        on_next(201, Token("x", timestamp=1)),
        on_next(205, ERROR),
        on_error(205, DOWN),
    ]


@pytest.mark.parametrize("disposed", [201, 230, 235, 245])
def test_dispose_closes_the_running_stream(disposed: float) -> None:
    pair = Pair([on_error(30, DOWN)], [on_next(10, "b")])
    assert pair.run(disposed) == ([on_next(240, "b")] if disposed > 240 else [])
    last = (pair.other if disposed > 230 else pair.source).subscriptions
    assert [one.unsubscribe for one in last] == [disposed]


def test_dispose_at_reset_prevents_other() -> None:
    started: list[bool] = []

    def other(_: Any) -> Observable[str]:
        started.append(True)
        return rx.of("b")

    source: Subject[str] = Subject()
    seen: list[str] = []

    def take(item: str) -> None:
        seen.append(item)
        if item == "reset":
            subscription.dispose()

    operator = ops.fallback_to(rx.defer(other), on_reset=lambda _: "reset")
    subscription = source.pipe(operator).subscribe(take)
    source.on_next("a")
    source.on_error(DOWN)
    assert (seen, started) == (["a", "reset"], [])


def test_raising_consumer_is_no_source_failure() -> None:
    """By reactivex's rules the exception reaches `on_error`; it must not start the other stream."""
    seen: list[Any] = []

    def take(item: str) -> None:
        seen.append(item)
        raise KeyError("mine")

    operator = ops.fallback_to(rx.of("b"), on_reset=lambda _: "reset")
    rx.of("a").pipe(operator).subscribe(take, lambda error: seen.append(type(error)))
    assert seen == ["a", KeyError]


def test_sources_failing_in_subscribe_compose() -> None:
    seen: list[str] = []
    fail: Observable[str] = rx.throw(DOWN)
    stream = fail
    for _ in range(20):
        stream = stream.pipe(ops.fallback_to(fail))
    stream.pipe(ops.fallback_to(rx.of("up"))).subscribe(seen.append)
    assert seen == ["up"]


async def test_slow_reader_slows_other_stream() -> None:
    numbers = Numbers()
    stream = rx.throw(DOWN).pipe(ops.fallback_to(from_aiter(numbers)))
    async with to_aiter(stream, capacity=4) as items:
        assert await anext(items) == 0
        await asyncio.sleep(1)
        assert numbers.made <= 6
    assert numbers.closed == 1


def test_cancelled_loop_starts_nothing() -> None:
    """The end of a loop cancels its tasks; a new task would be left behind."""
    started: list[bool] = []

    def other(_: Any) -> Observable[int]:
        started.append(True)
        return rx.of(0)

    operator = ops.fallback_to(rx.defer(other), fallback_if=lambda _: True)
    seen = subscribe_on_a_loop_that_ends(lambda: from_aiter(stall).pipe(operator))
    assert [type(note) for note in seen.notes] == [StreamCancelledError]
    assert started == []
