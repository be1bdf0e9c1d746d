"""Test `retry_with_backoff`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen, settle
from reactivex import Observable
from reactivex.testing import ReactiveTest, TestScheduler
from retrying import Attempts, retried

import rxagents
from rxagents import (
    AuthenticationError,
    ConfigurationError,
    ErrorEvent,
    OverloadedError,
    RateLimitError,
    StreamChunk,
)
from rxagents import operators as ops
from rxagents.core.events import ErrorInfo
from rxagents.testing import Reply, ScriptedLLM

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe
DOWN = OSError("down")


# Number of attempts and waits.


def test_waits_double_up_to_longest() -> None:
    scheduler = TestScheduler()
    errors = [OSError(str(number)) for number in range(6)]
    attempts = Attempts(scheduler, *[[on_error(1, error)] for error in errors])
    (last,) = retried(scheduler, attempts, max_retries=5, longest_wait=50)
    assert attempts.starts == [200, 211, 232, 273, 324, 375]
    assert (last.time, last.value.exception) == (376, errors[-1])


def test_failed_attempt_closes_before_next() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_error(5, DOWN)], [on_next(1, "up"), on_completed(2)])
    assert retried(scheduler, attempts) == [on_next(216, "up"), on_completed(217)]
    assert [source.subscriptions for source in attempts.sources] == [
        [subscribe(200, 205)],
        [subscribe(215, 217)],
    ]


def test_zero_retries_pass_the_error() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_error(5, DOWN)])
    assert retried(scheduler, attempts, max_retries=0) == [on_error(205, DOWN)]


@pytest.mark.parametrize(("jitter", "least"), [(0.0, 100), (0.25, 75), (1.0, 0)])
def test_jitter_shortens_waits_at_random(jitter: float, least: float) -> None:
    waits = []
    for _ in range(50):
        scheduler = TestScheduler()
        attempts = Attempts(scheduler, [on_error(1, DOWN)], [on_completed(1)])
        retried(scheduler, attempts, first_wait=100, jitter=jitter)
        waits.append(attempts.starts[1] - 201)
    assert least <= min(waits) <= max(waits) <= 100
    assert (len(set(waits)) > 1) == (jitter > 0)


@pytest.mark.parametrize(("asked", "start"), [(0, 201), (7, 208), (60, 261)])
def test_providers_retry_after_is_kept(asked: float, start: int) -> None:
    scheduler = TestScheduler()
    busy = RateLimitError("busy", retry_after=asked)
    attempts = Attempts(scheduler, [on_error(1, busy)], [on_completed(1)])
    assert retried(scheduler, attempts) == [on_completed(start + 1)]


def test_retry_after_over_minute_gives_up() -> None:
    scheduler = TestScheduler()
    busy = RateLimitError("busy", retry_after=60.5)
    assert retried(scheduler, Attempts(scheduler, [on_error(1, busy)])) == [on_error(201, busy)]


@pytest.mark.parametrize("disposed", [200.5, 204, 205, 210, 216])
def test_dispose_at_any_time_ends_stream(disposed: float) -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_error(5, DOWN)], [on_next(2, "up")])
    assert retried(scheduler, attempts, disposed) == []
    assert attempts.starts == ([200, 215] if disposed > 215 else [200])


# Which errors are retried.


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OverloadedError("x"), True),
        (rxagents.ConnectError("x"), True),
        (rxagents.TruncatedStreamError("x"), True),
        (rxagents.IdleTimeoutError("x"), True),
        (rxagents.FirstEventTimeoutError("x"), True),
        (rxagents.ServerError("x", retryable=False), False),
        (rxagents.TotalTimeoutError("x"), False),
        (AuthenticationError("x"), False),
        (rxagents.BadRequestError("x"), False),
        (ConfigurationError("x"), False),
        (rxagents.StreamCancelledError("x"), False),
        (rxagents.MaxIterationsError("x"), False),
        (DOWN, True),
        (ValueError("x"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_default_retries_transient_errors_only(error: Exception, again: bool) -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_error(1, error)], [on_completed(1)])
    last = retried(scheduler, attempts)[-1]
    assert last.value.kind == ("C" if again else "E")
    assert len(attempts.starts) == (2 if again else 1)


def test_retry_if_decides_each_error() -> None:
    scheduler = TestScheduler()
    first, second = AuthenticationError("1"), AuthenticationError("2")
    attempts = Attempts(scheduler, [on_error(1, first)], [on_error(1, second)])
    asked: list[Exception] = []

    def ask(error: Exception) -> bool:
        asked.append(error)
        return error is first

    (last,) = retried(scheduler, attempts, retry_if=ask)
    assert asked == [first, second]
    assert last.value.exception is second


def test_exception_of_retry_if_ends_stream() -> None:
    scheduler = TestScheduler()
    attempts = Attempts(scheduler, [on_error(1, DOWN)])

    def ask(_: Exception) -> bool:
        raise KeyError("mine")

    (last,) = retried(scheduler, attempts, retry_if=ask)
    assert type(last.value.exception) is KeyError


# The `ErrorEvent`.

ERROR = ErrorEvent(ErrorInfo.of(DOWN))


async def test_run_without_text_is_started_again() -> None:
    llm = ScriptedLLM(Reply(error=OverloadedError("busy")), "Hi")
    run = rxagents.FunctionAgent(llm).run_stream("Hi")
    seen = Seen(run.pipe(ops.retry_with_backoff(2, first_wait=0.01)))
    await seen.over.wait()
    kinds = [event.type for event in seen.items]
    assert kinds.count("turn_start") == kinds.count("complete") == 1
    assert "error" not in kinds


# Many attempts.


async def test_ten_thousand_failures_do_not_nest() -> None:
    count = 0

    def fail(_: Any) -> Observable[str]:
        nonlocal count
        count += 1
        return rx.throw(DOWN) if count <= 10_000 else rx.of("up")

    seen = Seen(rx.defer(fail).pipe(ops.retry_with_backoff(10_000, first_wait=0)))
    await seen.over.wait()
    assert seen.notes == ["up", "end"]
    scheduler, count = TestScheduler(), 0
    observer: Any = scheduler.start(
        lambda: rx.defer(fail).pipe(ops.retry_with_backoff(10_000, first_wait=0)), disposed=1e6
    )
    assert [message.value.kind for message in observer.messages] == ["N", "C"]


async def test_scope_forgets_failed_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    from rxagents.runtime import timed_scope

    scopes: list[timed_scope.TimedScope] = []

    class Watched(timed_scope.TimedScope):
        def __init__(self, scheduler: Any) -> None:
            super().__init__(scheduler)
            scopes.append(self)

    monkeypatch.setattr(timed_scope, "TimedScope", Watched)
    source: Observable[str] = rx.throw(DOWN)
    seen = Seen(source.pipe(ops.retry_with_backoff(200, first_wait=0)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(scopes[0]._held) <= 3
    await seen.over.wait()
    await settle()


scripts = st.lists(st.sampled_from("tsE"), max_size=6).map("".join)


@given(
    scripts=st.lists(scripts, min_size=1, max_size=5),
    resets=st.booleans(),
    retries=st.integers(0, 4),
)
def test_text_after_reset_is_one_attempt(scripts: list[str], resets: bool, retries: int) -> None:
    """`t` is text, `s` a chunk without content, `E` an error event; the last attempt succeeds."""
    scheduler = TestScheduler()
    endings = [on_error(20, DOWN)] * (len(scripts) - 1) + [on_completed(20)]
    attempts = Attempts(
        scheduler,
        *[[*_items(n, script), endings[n]] for n, script in enumerate(scripts)],
    )
    arguments: dict[str, Any] = {"on_reset": StreamChunk.reset} if resets else {}
    messages = retried(scheduler, attempts, max_retries=retries, first_wait=1, **arguments)

    kinds = "".join(message.value.kind for message in messages)
    assert kinds.lstrip("N") in {"E", "C"}
    started = scripts[: len(attempts.starts)]
    assert len(started) <= retries + 1
    items = [message.value.value for message in messages[:-1]]
    parts: list[list[str]] = [[]]
    for item in items:
        if isinstance(item, StreamChunk) and "reset" in item.metadata:
            parts.append([])
        elif isinstance(item, StreamChunk) and item.delta:
            parts[-1].append(item.delta)
    texts = [[f"{n}.{i}" for i, kind in enumerate(s) if kind == "t"] for n, s in enumerate(started)]
    assert [part for part in parts if part] == [text for text in texts if text]
    assert parts[-1] == texts[-1]
    void = sum(script.endswith("E") for script in started[:-1])
    assert items.count(ERROR) == sum(script.count("E") for script in started) - void


def _items(number: int, script: str) -> list[Any]:
    kinds: dict[str, Any] = {"s": StreamChunk(), "E": ERROR}
    return [
        on_next(1 + i, kinds.get(kind, StreamChunk(f"{number}.{i}")))
        for i, kind in enumerate(script)
    ]
