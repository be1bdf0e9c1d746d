"""Test `retry_with_backoff` after content, and with an `ErrorEvent`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from observing import pending
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler
from retrying import Attempts, retried

import rxagents
from rxagents import ErrorEvent, OverloadedError, Reset, StreamChunk, Token, ToolCallDelta
from rxagents import operators as ops
from rxagents.core.events import ErrorInfo

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe
DOWN = OSError("down")


# Failures after content.


def test_failure_after_content_needs_on_reset() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_next(1, "a"), on_error(5, DOWN)])
    assert retried(scheduler, attempts) == [on_next(201, "a"), on_error(205, DOWN)]
    assert attempts.starts == [200]


def test_reset_precedes_new_start_at_once() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(
        scheduler,
        [on_next(1, "a"), on_error(5, DOWN)],
        [on_error(1, DOWN)],  # no content yet: no reset
        [on_next(1, "b"), on_completed(2)],
    )
    assert retried(scheduler, attempts, on_reset=lambda error: ("reset", error)) == [
        on_next(201, "a"),
        on_next(205, ("reset", DOWN)),
        on_next(237, "b"),
        on_completed(238),
    ]


@pytest.mark.parametrize(
    ("item", "is_content"),
    [
        (StreamChunk(), False),
        (StreamChunk(metadata={"model": "m"}), False),
        (StreamChunk("x"), True),
        (StreamChunk(reasoning="x"), True),
        (StreamChunk(refusal="x"), True),
        (StreamChunk(tool_calls=(ToolCallDelta(0),)), True),
        (StreamChunk(finish_reason="stop"), True),
        (Token("x"), True),
        (None, True),
        ("", True),
    ],
)
def test_items_without_content_do_not_count(item: Any, is_content: bool) -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_next(1, item), on_error(5, DOWN)], [on_completed(1)])
    last = retried(scheduler, attempts)[-1]
    assert last.value.kind == ("E" if is_content else "C")


@pytest.mark.parametrize("on_reset", [StreamChunk.reset, Reset.of])
def test_library_resets_carry_the_error(on_reset: Callable[[Exception], Any]) -> None:
    scheduler = TestScheduler()
    busy = OverloadedError("busy", status=503)
    attempts = Attempts(scheduler, [on_next(1, "a"), on_error(5, busy)], [on_completed(1)])
    reset = retried(scheduler, attempts, on_reset=on_reset)[1].value.value
    info = reset.error if isinstance(reset, Reset) else reset.metadata["reset"]
    assert info == ErrorInfo.of(busy)
    assert isinstance(reset, Reset) or not reset.has_content


def test_exception_of_on_reset_ends_stream() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_next(1, "a"), on_error(5, DOWN)])

    def reset(_: Exception) -> str:
        raise KeyError("mine")

    messages = retried(scheduler, attempts, on_reset=reset)
    assert [message.value.kind for message in messages] == ["N", "E"]
    assert type(messages[-1].value.exception) is KeyError


def test_dispose_at_reset_prevents_restart() -> None:
    scheduler = TestScheduler()
    source: Subject[str] = Subject()
    seen: list[str] = []

    def take(item: str) -> None:
        seen.append(item)
        if item == "reset":
            subscription.dispose()

    operator = ops.retry_with_backoff(on_reset=lambda _: "reset")
    subscription = source.pipe(operator).subscribe(take, scheduler=scheduler)
    source.on_next("a")
    source.on_error(DOWN)
    assert seen == ["a", "reset"]
    assert not pending(scheduler)


async def test_raising_at_reset_prevents_restart(loop_errors: list[Exception]) -> None:
    started = 0

    async def items() -> Any:
        nonlocal started
        started += 1
        yield "a"
        raise DOWN

    def take(item: str) -> None:
        if item == "reset":
            raise KeyError("mine")

    operator = ops.retry_with_backoff(on_reset=lambda _: "reset")
    rxagents.from_aiter(items).pipe(operator).subscribe(take)
    await asyncio.sleep(100)
    assert ([type(error) for error in loop_errors], started) == ([KeyError], 1)
    loop_errors.clear()


# The `ErrorEvent`.

ERROR = ErrorEvent(ErrorInfo.of(DOWN))


def test_recovery_hides_error_event() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(
        scheduler, [on_next(1, ERROR), on_error(5, DOWN)], [on_next(1, "up"), on_completed(2)]
    )
    assert retried(scheduler, attempts) == [on_next(216, "up"), on_completed(217)]


def test_final_error_event_precedes_error() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_next(1, "a"), on_next(2, ERROR), on_error(5, DOWN)])
    assert retried(scheduler, attempts) == [
        on_next(201, "a"),
        on_next(205, ERROR),
        on_error(205, DOWN),
    ]


def test_other_error_events_keep_place() -> None:
    scheduler = TestScheduler()
    script = [on_next(1, ERROR), on_next(2, ERROR), on_next(3, "b"), on_next(4, ERROR)]
    attempts = Attempts(scheduler, [*script, on_completed(9)])
    assert [(note.time, note.value.value) for note in retried(scheduler, attempts)[:-1]] == [
        (202, ERROR),
        (203, ERROR),
        (203, "b"),
        (209, ERROR),
    ]
