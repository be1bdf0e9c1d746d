"""Test the laws of the operators of time and failure, in virtual time and on a loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen, in_thread, pending, scheduler_spy, settle
from reactivex import Observable, abc
from reactivex.testing import ReactiveTest, TestScheduler
from timed_operators import Counting, Operator, each_operator, each_timed, never

from rxagents import ConfigurationError, from_aiter
from rxagents import operators as ops
from rxagents.testing.virtual_time import virtual_loop

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed
subscribe: Any = ReactiveTest.subscribe  # also takes fractions


def start(scheduler: TestScheduler, piped: Observable[Any], disposed: float = 1000) -> list[Any]:
    observer: Any = scheduler.start(lambda: piped, disposed=disposed)
    messages: list[Any] = observer.messages
    return messages


# Virtual time.


@each_operator
def test_items_pass_and_timers_stop(make: Callable[[], Operator]) -> None:
    scheduler = TestScheduler()
    notes: list[Any] = [on_next(210, "a"), on_next(220, None), on_next(230, "c"), on_completed(240)]
    source = scheduler.create_hot_observable(*notes)
    left: list[Any] = []
    scheduler.schedule_absolute(241, lambda *_: left.extend(pending(scheduler)))
    assert start(scheduler, source.pipe(make())) == notes
    assert source.subscriptions == [subscribe(200, 240)]
    assert len(left) == 1  # the test's end


@each_operator
def test_error_after_content_passes_at_once(make: Callable[[], Operator]) -> None:
    failure = OSError("the wire is cut")
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, "a"), on_error(220, failure))
    *before, last = start(scheduler, source.pipe(make()))
    assert before == [on_next(210, "a")]
    assert last.time == 220
    assert last.value.exception is failure
    assert source.subscriptions == [subscribe(200, 220)]
    assert not pending(scheduler)


@each_operator
def test_empty_source_completes(make: Callable[[], Operator]) -> None:
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(on_completed(210))
    assert start(scheduler, source.pipe(make())) == [on_completed(210)]
    assert source.subscriptions == [subscribe(200, 210)]


@each_operator
@pytest.mark.parametrize("disposed", [200.5, 210, 215, 235])
def test_dispose_unsubscribes_and_stops_timers(
    make: Callable[[], Operator], disposed: float
) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, "a"), on_next(220, "b"))
    messages = start(scheduler, source.pipe(make()), disposed)
    assert messages == [
        on_next(time, item) for time, item in ((210, "a"), (220, "b")) if time <= disposed
    ]
    assert source.subscriptions == [subscribe(200, disposed)]
    assert not pending(scheduler)


@each_operator
def test_subscriptions_share_nothing(make: Callable[[], Operator]) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_cold_observable(on_next(10, "a"), on_next(30, "b"), on_completed(40))
    piped = source.pipe(make())
    observers = [scheduler.create_observer() for _ in range(3)]
    for time, observer in zip((200, 215, 500), observers, strict=True):
        scheduler.schedule_absolute(
            time, lambda *_, o=observer: piped.subscribe(o, scheduler=scheduler)
        )
    scheduler.start()
    for time, observer in zip((200, 215, 500), observers, strict=True):
        assert observer.messages == [
            on_next(time + 10, "a"),
            on_next(time + 30, "b"),
            on_completed(time + 40),
        ]


@each_operator
def test_subscribers_scheduler_reaches_source(make: Callable[[], Operator]) -> None:
    source, found = scheduler_spy()
    wanted = TestScheduler()
    source.pipe(make()).subscribe(scheduler=wanted).dispose()
    assert found == [wanted]
    assert not pending(wanted)


moments = st.integers(1, 40)
scripts = st.lists(st.tuples(moments, st.sampled_from("nec")), max_size=8)


@each_operator
@given(script=scripts, disposed=st.integers(201, 600))
def test_grammar_holds_and_dispose_silences(
    make: Callable[[], Operator], script: list[tuple[int, str]], disposed: int
) -> None:
    """Some sources, such as hot ones, go on emitting after the end."""
    scheduler = TestScheduler()
    time, notes = 200, []
    for delay, kind in script:
        time += delay
        note = {"n": on_next(time, time), "e": on_error(time, OSError()), "c": on_completed(time)}
        notes.append(note[kind])
    source: Any = scheduler.create_hot_observable(*notes)
    messages = start(scheduler, source.pipe(make()), disposed)
    kinds = "".join(message.value.kind for message in messages)
    assert kinds.rstrip("EC").strip("N") == ""
    assert len(kinds.lstrip("N")) <= 1
    assert all(message.time <= disposed for message in messages)
    assert not pending(scheduler)


# The running loop.


@each_timed
def test_error_without_loop_names_run(make: Callable[[], Operator]) -> None:
    errors: list[Exception] = []
    rx.of(1).pipe(make()).subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [ConfigurationError]
    assert "rxagents.run" in str(errors[0])
    with pytest.raises(ConfigurationError, match=r"rxagents\.run"):
        rx.of(1).pipe(make()).subscribe()


@each_operator
async def test_plain_subscriber_called_on_loop_thread(make: Callable[[], Operator]) -> None:
    seen = Seen(from_aiter(Counting(3)).pipe(make()))
    assert seen.notes == []
    await seen.over.wait()
    assert seen.notes == [0, 1, 2, "end"]
    assert seen.threads == {threading.get_ident()}


@each_operator
async def test_dispose_from_thread_closes_everything(make: Callable[[], Operator]) -> None:
    counting = Counting(1_000_000)
    seen = Seen(from_aiter(counting).pipe(make()))
    await settle()
    for _ in range(2):
        in_thread(seen.subscription.dispose)
    count = len(seen.notes)
    await asyncio.sleep(1000)
    assert len(seen.notes) == count > 0
    assert counting.closed == 1


@each_timed
async def test_timers_are_cancelled_on_loop_thread(make: Callable[[], Operator]) -> None:
    """Only the loop's thread may touch its timers: uvloop's are C structures."""
    threads: list[int] = []

    class Watched:
        def __init__(self, timer: asyncio.TimerHandle) -> None:
            self._timer = timer

        def cancel(self) -> None:
            threads.append(threading.get_ident())
            self._timer.cancel()

    loop = virtual_loop()
    call_later: Any = loop.call_later
    loop.call_later = lambda *call: Watched(call_later(*call))  # type: ignore[assignment, method-assign]  # watched
    seen = Seen(rx.concat(rx.of(1), never()).pipe(make()))
    count = len(threads)
    in_thread(seen.subscription.dispose)
    assert len(threads) == count
    await settle()
    assert set(threads) <= {threading.get_ident()}


@each_timed
def test_dispose_after_closed_loop_is_silent(make: Callable[[], Operator]) -> None:
    async def check() -> abc.DisposableBase:
        return never().pipe(make()).subscribe()

    asyncio.run(check()).dispose()


@each_operator
async def test_nothing_is_referenced_after_end(make: Callable[[], Operator]) -> None:
    class Holder:
        def take(self, _: Any) -> None: ...

    holder = Holder()
    gone = weakref.ref(holder)
    from_aiter(Counting(3)).pipe(make()).subscribe(holder.take)
    del holder
    await asyncio.sleep(1)
    gc.collect()
    assert gone() is None


# Arguments.

NO_SECONDS = [-1, -0.1, float("nan"), float("inf"), "1", True, None, [1]]


@pytest.mark.parametrize("make", [ops.timeout_first, ops.timeout_idle, ops.timeout_total])
@pytest.mark.parametrize("seconds", [0, *NO_SECONDS], ids=repr)
def test_invalid_timeout_is_refused(make: Callable[[Any], Operator], seconds: object) -> None:
    with pytest.raises(ConfigurationError, match="seconds must be"):
        make(seconds)


@pytest.mark.parametrize("name", ["first_wait", "longest_wait"])
@pytest.mark.parametrize("seconds", NO_SECONDS, ids=repr)
def test_invalid_wait_is_refused(name: str, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ops.retry_with_backoff(**{name: seconds})


@pytest.mark.parametrize("seconds", NO_SECONDS, ids=repr)
def test_invalid_hedge_delay_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="after"):
        ops.hedge(never(), after=seconds)


@pytest.mark.parametrize("retries", [-1, 1.0, "1", True, None])
def test_invalid_max_retries_is_refused(retries: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_retries"):
        ops.retry_with_backoff(retries)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan"), "0", True, None])
def test_invalid_jitter_is_refused(jitter: Any) -> None:
    with pytest.raises(ConfigurationError, match="jitter"):
        ops.retry_with_backoff(jitter=jitter)


@pytest.mark.parametrize("function", [1, "reset", True])
def test_non_function_is_refused(function: Any) -> None:
    makers: dict[str, Callable[[], Any]] = {
        "on_reset": lambda: ops.retry_with_backoff(on_reset=function),
        "retry_if": lambda: ops.retry_with_backoff(retry_if=function),
        "on_reset ": lambda: ops.fallback_to(never(), on_reset=function),
        "fallback_if": lambda: ops.fallback_to(never(), fallback_if=function),
    }
    for name, make in makers.items():
        with pytest.raises(ConfigurationError, match=name.strip()):
            make()
    with pytest.raises(ConfigurationError, match="retry_if"):
        ops.retry_with_backoff(retry_if=None)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "other", [None, "llm", never, [never()]], ids=["None", "text", "function", "list"]
)
def test_non_observable_other_is_refused(other: Any) -> None:
    with pytest.raises(ConfigurationError, match="other must be an Observable"):
        ops.hedge(other, after=1)
    with pytest.raises(ConfigurationError, match="other must be an Observable"):
        ops.fallback_to(other)
