"""Test the operators of time and failure with consumers that dispose, subscribe or raise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from observing import Seen, pending
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler
from timed_operators import Counting, Operator, each_operator, each_plain, each_timed

from rxagents import from_aiter, run, to_aiter
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
subscribe: Any = ReactiveTest.subscribe  # also takes fractions


@each_operator
def test_dispose_inside_on_next_ends_stream(make: Callable[[], Operator]) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, "a"), on_next(220, "b"))
    seen: list[Any] = []

    def take(item: str) -> None:
        seen.append(item)
        subscription.dispose()

    subscription = source.pipe(make()).subscribe(take, seen.append, scheduler=scheduler)
    scheduler.start()
    assert seen == ["a"]
    assert source.subscriptions == [subscribe(0, 210)]
    assert not pending(scheduler)


@each_operator
async def test_subscribing_inside_on_next_is_independent(make: Callable[[], Operator]) -> None:
    counting = Counting(3)
    piped = from_aiter(counting).pipe(make())
    inner: list[Seen] = []
    outer = Seen(piped.pipe(rx_ops.do_action(lambda _: inner.append(Seen(piped)))))
    await outer.over.wait()
    for seen in inner:
        await seen.over.wait()
    assert [seen.notes for seen in [outer, *inner]] == [[0, 1, 2, "end"]] * 4
    assert counting.closed == 4


def broken(_: object) -> None:
    raise KeyError("mine")


def consumed(counting: Counting, operator: Operator) -> Observable[Any]:
    """Return an Observable that emits nothing and contains a consumer that raises."""

    def subscribe(_: abc.ObserverBase[Any], scheduler: Any = None) -> abc.DisposableBase:
        return from_aiter(counting).pipe(operator).subscribe(broken, scheduler=scheduler)

    return Observable(subscribe)


@each_operator
async def test_raising_consumer_is_reported_once(
    make: Callable[[], Operator], loop_errors: list[Exception]
) -> None:
    """The source takes a while to close; disposing it meanwhile must not lose the exception."""
    counting, ends = Counting(100), list[Any]()
    piped = from_aiter(counting).pipe(make())
    piped.subscribe(broken, ends.append, lambda: ends.append("end"))
    await asyncio.sleep(2000)
    assert [type(error) for error in loop_errors] == [KeyError]
    assert ends == []
    assert (counting.started, counting.closed) == (1, 1)
    loop_errors.clear()


@each_operator
async def test_to_aiter_raises_consumers_exception(make: Callable[[], Operator]) -> None:
    counting = Counting(100)
    async with to_aiter(consumed(counting, make())) as items:
        with pytest.raises(KeyError):
            await anext(items)
    assert counting.started == counting.closed == 1


@each_operator
def test_run_raises_what_a_consumer_raises(make: Callable[[], Operator]) -> None:
    counting = Counting(100)
    with pytest.raises(KeyError):
        run(consumed(counting, make()))
    with pytest.raises(KeyError):
        run(from_aiter(counting).pipe(make()), broken)
    assert counting.started == counting.closed == 2


@each_timed
async def test_raising_consumer_closes_all_branches(
    make: Callable[[], Operator], loop_errors: list[Exception]
) -> None:
    """Alone, reactivex's `merge` goes on with its other branch."""
    both = Counting(100), Counting(100)
    rx.merge(*map(from_aiter, both)).pipe(make()).subscribe(broken)
    await asyncio.sleep(1)
    assert [one.closed for one in both] == [1, 1]
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


@each_timed
@pytest.mark.parametrize("end", ["error", "end"])
async def test_raising_consumer_mutes_synchronous_source(
    make: Callable[[], Operator], end: str, loop_errors: list[Exception]
) -> None:
    calls: list[Any] = []

    def take(item: Any) -> None:
        calls.append(item)
        raise KeyError("mine")

    def emit(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
        observer.on_next(1)
        observer.on_next(2)
        if end == "error":
            observer.on_error(OSError("cut"))
        else:
            observer.on_completed()
        return Disposable()

    piped = rx.create(emit).pipe(make())
    piped.subscribe(take, calls.append, lambda: calls.append("end"))
    await asyncio.sleep(2000)
    assert calls == [1]
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


@each_timed
def test_virtual_time_raises_consumers_exception(make: Callable[[], Operator]) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, "a"), on_next(220, "b"))
    source.pipe(make()).subscribe(broken, scheduler=scheduler)
    with pytest.raises(KeyError):
        scheduler.start()
    assert source.subscriptions == [subscribe(0, 210)]
    due = {scheduler.to_seconds(item.duetime) for item in pending(scheduler)}
    assert due == {220, 1000}  # the source's timer, and the test's end


@each_operator
async def test_raising_at_end_is_reported_once(
    make: Callable[[], Operator], loop_errors: list[Exception]
) -> None:
    from_aiter(Counting(1)).pipe(make()).subscribe(on_completed=lambda: broken(None))
    await asyncio.sleep(2000)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


@each_plain
async def test_unhandled_error_leaves_no_timer(make: Callable[[], Operator]) -> None:
    subject: Subject[int] = Subject()
    subject.pipe(make()).subscribe()
    subject.on_next(1)
    with pytest.raises(OSError, match="cut"):
        subject.on_error(OSError("cut"))
    with pytest.raises(OSError, match="cut"):
        rx.of(1).pipe(rx_ops.concat(rx.throw(OSError("cut"))), make()).subscribe()


@pytest.mark.parametrize("make", [ops.timeout_first, ops.timeout_idle, ops.timeout_total])
def test_source_closes_before_timeout_error(make: Callable[[float], Operator]) -> None:
    """A subscriber that subscribes again in `on_error` has one request at a time."""
    order: list[str] = []

    def source(_: abc.ObserverBase[int], __: Any = None) -> abc.DisposableBase:
        return Disposable(lambda: order.append("closed"))

    stream: Observable[Any] = Observable(source)
    scheduler = TestScheduler()
    begun = stream if make is not ops.timeout_idle else rx.merge(rx.of(1), stream)
    begun.pipe(make(5)).subscribe(on_error=lambda _: order.append("failed"), scheduler=scheduler)
    scheduler.start()
    assert order == ["closed", "failed"]
