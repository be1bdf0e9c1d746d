"""Test `map_async` in virtual time."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Numbers, Seen, in_thread, settle
from reactivex import operators as rx_ops
from running import run_async

import rxagents
from rxagents import Overflow, from_aiter
from rxagents import operators as ops
from rxagents.testing.virtual_time import virtual_loop


class Worker:
    """Sleeps for each item, and keeps its items and how many calls ran at a time."""

    def __init__(self, seconds: Callable[[Any], float] = lambda _: 1) -> None:
        self.seconds = seconds
        self.given: list[Any] = []
        self.running = self.most = self.cancelled = 0

    async def __call__(self, item: Any) -> str:
        self.given.append(item)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds(item))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return f"<{item}>"


def timed(source: rx.Observable[Any]) -> rx.Observable[Any]:
    """Pair each item with the time at which it came."""
    return source.pipe(rx_ops.map(lambda item: (round(virtual_loop().time(), 3), item)))


def seen_of(source: rx.Observable[Any]) -> list[Any]:
    """Return what a plain subscriber gets; check that no task is left."""

    async def check() -> list[Any]:
        seen = Seen(timed(source))
        await seen.over.wait()
        assert seen.threads == {threading.get_ident()}
        return seen.notes

    return run_async(check())


def test_results_come_in_order() -> None:
    worker = Worker()
    assert seen_of(rx.of("a", "b").pipe(ops.map_async(worker))) == [
        (1, "<a>"),
        (2, "<b>"),
        "end",
    ]
    assert worker.most == 1


def test_concurrent_calls_keep_item_order() -> None:
    worker = Worker(lambda item: {"a": 3, "b": 1}.get(item, 1))
    source = rx.of("a", "b", "c", "d").pipe(ops.map_async(worker, concurrency=2))
    assert seen_of(source) == [(3, "<a>"), (3, "<b>"), (4, "<c>"), (4, "<d>"), "end"]
    assert worker.most == 2


def test_empty_source_completes() -> None:
    assert seen_of(rx.empty().pipe(ops.map_async(Worker()))) == ["end"]


def test_error_follows_earlier_results() -> None:
    failure = OSError("cut")
    source = rx.concat(rx.of("a"), rx.throw(failure))
    assert seen_of(source.pipe(ops.map_async(Worker()))) == [(1, "<a>"), failure]


def test_function_exception_cancels_other_calls() -> None:
    failure = LookupError("no")
    worker = Worker(lambda item: 1 if item == "a" else 100)

    async def work(item: str) -> str:
        if item == "b":
            raise failure
        return await worker(item)

    source = rx.concat(rx.of("a", "b", "c", "d"), rx.never())
    assert seen_of(source.pipe(ops.map_async(work, concurrency=3))) == [(1, "<a>"), failure]
    assert worker.running == 0
    assert worker.cancelled == 2


def test_plain_function_exception_ends_stream() -> None:
    def work(item: str) -> Coroutine[Any, Any, str]:
        raise LookupError(item)

    (error,) = seen_of(rx.of("a").pipe(ops.map_async(work)))
    assert isinstance(error, LookupError)


def test_result_must_be_awaitable() -> None:
    plain: Any = str.upper
    (error,) = seen_of(rx.of("a").pipe(ops.map_async(plain)))
    assert isinstance(error, rxagents.ConfigurationError)
    assert "str" in str(error)


def test_self_cancelling_function_fails_stream() -> None:
    async def work(_: str) -> str:
        raise asyncio.CancelledError

    (error,) = seen_of(rx.of("a").pipe(ops.map_async(work)))
    assert type(error) is rxagents.RxAgentsError
    assert "raised CancelledError, which a stream cannot deliver" in str(error)


@pytest.mark.parametrize("leave", ["here", "in a thread"])
@given(st.floats(0, 6))
def test_dispose_leaves_no_call(leave: str, seconds: float) -> None:
    worker = Worker()

    async def check() -> None:
        source = rx.concat(rx.of("a", "b", "c"), rx.never())
        seen = Seen(source.pipe(ops.map_async(worker, concurrency=2)))
        await asyncio.sleep(seconds)
        if leave == "here":
            seen.subscription.dispose()
            seen.subscription.dispose()
        else:
            in_thread(seen.subscription.dispose)
        before = len(seen.notes)
        await settle()
        assert worker.running == 0
        await asyncio.sleep(10)
        assert len(seen.notes) == before

    run_async(check())


async def test_call_suppressing_cancellation_is_awaited() -> None:
    given_items: list[str] = []

    async def stubborn(item: str) -> str:
        given_items.append(item)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return item

    async with rxagents.to_aiter(rx.of("a", "b", "c").pipe(ops.map_async(stubborn))):
        await asyncio.sleep(1)
    assert virtual_loop().time() == pytest.approx(2)
    await asyncio.sleep(100)
    assert given_items == ["a"]


async def test_subscriptions_share_nothing() -> None:
    source = rx.of("a", "b").pipe(ops.map_async(Worker()))
    first = Seen(timed(source))
    await asyncio.sleep(1.5)
    second = Seen(timed(source))
    await second.over.wait()
    assert first.notes == [(1, "<a>"), (2, "<b>"), "end"]
    assert second.notes == [(2.5, "<a>"), (3.5, "<b>"), "end"]


async def test_nothing_emitted_inside_subscribe() -> None:
    async def immediately(item: int) -> int:
        return item

    seen = Seen(rx.of(1, 2).pipe(ops.map_async(immediately)))
    assert seen.notes == []
    await seen.over.wait()
    assert seen.notes == [1, 2, "end"]


@pytest.mark.parametrize("overflow", [Overflow.BLOCK, Overflow.REDUCE])
async def test_busy_function_stops_source_at_capacity(overflow: Overflow) -> None:
    numbers, worker = Numbers(100), Worker()
    stage = ops.map_async(worker, capacity=4, overflow=overflow)
    seen = Seen(from_aiter(numbers).pipe(stage))
    await asyncio.sleep(0.5)
    assert numbers.made <= 4 + 3  # 4 wait, 1 runs, 1 waits for a slot, 1 more
    await seen.over.wait()
    assert seen.notes == [*(f"<{number}>" for number in range(100)), "end"]


def test_drop_oldest_drops_oldest_items() -> None:
    stage = ops.map_async(Worker(), capacity=3, overflow=Overflow.DROP_OLDEST)
    *results, end = seen_of(from_aiter(Numbers(100)).pipe(stage))
    assert end == "end"
    assert [result for _, result in results][-3:] == ["<97>", "<98>", "<99>"]
    assert len(results) <= 3 + 2


def test_overflow_error_fails_beyond_capacity() -> None:
    stage = ops.map_async(Worker(), capacity=3, overflow=Overflow.ERROR)
    *results, error = seen_of(from_aiter(Numbers(100)).pipe(stage))
    assert isinstance(error, rxagents.BackpressureError)
    assert [result for _, result in results] == [f"<{n}>" for n in range(len(results))]
    assert 3 <= len(results) <= 5


async def test_full_reader_stops_calls_and_source() -> None:
    numbers, worker = Numbers(1000), Worker()
    stage = ops.map_async(worker, capacity=2)
    async with rxagents.to_aiter(from_aiter(numbers).pipe(stage), capacity=3) as reader:
        await asyncio.sleep(100)
        assert len(worker.given) <= 3 + 2
        assert numbers.made <= 3 + 2 + 4
        assert [await anext(reader) for _ in range(20)] == [f"<{n}>" for n in range(20)]


async def test_raising_subscriber_is_reported_once(loop_errors: list[Exception]) -> None:
    failure = LookupError("the screen is gone")
    worker = Worker()
    notes: list[Any] = []

    def fail(item: str) -> None:
        notes.append(item)
        raise failure

    rx.of("a", "b").pipe(ops.map_async(worker)).subscribe(
        fail, notes.append, lambda: notes.append("end")
    )
    await asyncio.sleep(10)
    assert loop_errors == [failure]
    assert notes == ["<a>"]
    loop_errors.clear()


def test_run_raises_callback_exception() -> None:
    async def work(item: str) -> str:
        return item

    def fail(_: str) -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        rxagents.run(rx.of("a").pipe(ops.map_async(work)), fail)


def test_error_without_loop_names_run() -> None:
    errors: list[Exception] = []
    rx.of("a").pipe(ops.map_async(Worker())).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]


@pytest.mark.parametrize("value", [0, -1, True, "1", None, math.nan, 1.5])
@pytest.mark.parametrize("name", ["concurrency", "capacity"])
def test_invalid_counts_are_refused(name: str, value: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=name):
        ops.map_async(Worker(), **{name: value})


def test_invalid_function_or_policy_refused() -> None:
    wrong: Any = None
    with pytest.raises(rxagents.ConfigurationError, match="function"):
        ops.map_async(wrong)
    with pytest.raises(rxagents.ConfigurationError, match="overflow"):
        ops.map_async(Worker(), overflow="block")  # type: ignore[arg-type]  # wrong on purpose


@given(st.lists(st.floats(0, 5), max_size=20), st.integers(1, 5), st.integers(1, 5))
def test_results_not_lost_repeated_or_moved(
    seconds: list[float], concurrency: int, capacity: int
) -> None:
    worker = Worker(lambda position: seconds[position])
    source = rx.from_iterable(range(len(seconds)))
    stage = ops.map_async(worker, concurrency=concurrency, capacity=capacity)
    *results, end = seen_of(source.pipe(stage))
    assert [result for _, result in results] == [f"<{n}>" for n in range(len(seconds))]
    assert end == "end"
    assert worker.most <= concurrency


def test_ten_thousand_items_do_not_nest() -> None:
    async def same(item: int) -> int:
        return item

    total = rxagents.run(rx.from_iterable(range(10_000)).pipe(ops.map_async(same), rx_ops.sum()))
    assert total == sum(range(10_000))
