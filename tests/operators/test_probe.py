"""Test `probe`."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import pytest
import reactivex as rx
from marbles import play, play_twice
from observing import FAILURE, Numbers, Seen, fail, letters, settle
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

import rxagents
from rxagents import InspectedProbe
from rxagents import operators as ops
from rxagents.runtime.probing import live_meters

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


@pytest.fixture(autouse=True)
def no_probe_is_left() -> Any:
    gc.collect()
    yield
    gc.collect()
    assert live_meters() == []


def the_probe(name: str = "here") -> InspectedProbe:
    (found,) = [
        probe for pipe in rxagents.inspect().pipes for probe in pipe.probes if probe.name == name
    ]
    return found


def test_stream_is_unchanged() -> None:
    failure = OSError("cut")
    for end in (on_completed(230), on_error(230, failure)):
        messages = [on_next(210, 1), on_next(220, 2), end]
        assert play(ops.probe("here"), *messages) == messages
    assert play(ops.probe("here")) == []


def test_times_are_virtual_under_virtual_scheduler() -> None:
    found: list[InspectedProbe] = []
    look = ops.tap_safely(lambda _: found.append(the_probe()))
    messages = [on_next(210, "a"), on_next(220, "bc"), on_next(250, "d"), on_completed(260)]
    play(lambda source: source.pipe(ops.probe("here"), look), *messages)
    assert [probe.items for probe in found] == [1, 2, 3]
    assert [probe.first for probe in found] == [10, 10, 10]
    assert [probe.age for probe in found] == [10, 20, 50]
    assert [probe.longest_gap for probe in found] == [0, 10, 30]
    assert [probe.rate for probe in found] == pytest.approx([0.1, 0.1, 0.06])
    assert [probe.last for probe in found] == ["str(1)", "str(2)", "str(1)"]


def test_subscriptions_are_counted_apart() -> None:
    seen = play_twice(ops.probe("here"), 200, 215, on_next(10, 1), on_completed(20))
    assert seen == [[on_next(210, 1), on_completed(220)], [on_next(225, 1), on_completed(235)]]


def test_completed_stream_is_not_listed() -> None:
    source: Subject[int] = Subject()
    listed: list[Any] = []
    source.pipe(ops.probe("here")).subscribe(
        on_completed=lambda: listed.append(rxagents.inspect().pipes)
    )
    assert the_probe().items == 0
    source.on_completed()
    assert listed == [()]


def test_failed_stream_is_not_listed() -> None:
    source: Subject[int] = Subject()
    listed: list[Any] = []
    source.pipe(ops.probe("here")).subscribe(
        on_error=lambda _: listed.append(rxagents.inspect().pipes)
    )
    assert the_probe().items == 0
    source.on_error(FAILURE)
    assert listed == [()]


def test_disposed_stream_is_not_listed() -> None:
    subscription = rx.never().pipe(ops.probe("here")).subscribe()
    assert the_probe().idle >= 0
    subscription.dispose()
    subscription.dispose()
    assert rxagents.inspect().pipes == ()


def test_dropped_stream_is_not_listed() -> None:
    rx.never().pipe(ops.probe("here")).subscribe()
    gc.collect()
    assert rxagents.inspect().pipes == ()


def test_nothing_passes_after_dispose() -> None:
    source: Subject[int] = Subject()
    seen: list[int] = []
    subscription = source.pipe(ops.probe("here")).subscribe(seen.append)
    source.on_next(1)
    subscription.dispose()
    source.on_next(2)
    assert seen == [1]


def test_error_without_on_error_is_raised() -> None:
    with pytest.raises(LookupError, match="the screen is gone"):
        rx.throw(FAILURE).pipe(ops.probe("here")).subscribe()


def test_source_that_raises_in_subscribe_leaves_no_probe() -> None:
    def subscribe(*_: Any) -> Any:
        raise FAILURE

    with pytest.raises(LookupError, match="the screen is gone"):
        rx.Observable(subscribe).pipe(ops.probe("here")).subscribe()
    assert rxagents.inspect().pipes == ()


async def test_failing_subscriber_ends_the_probe(loop_errors: list[Exception]) -> None:
    numbers = Numbers()
    subscription = rxagents.from_aiter(numbers).pipe(ops.probe("here")).subscribe(fail)
    await numbers.over.wait()
    await settle()
    assert rxagents.inspect().pipes == ()
    assert loop_errors == [FAILURE]
    loop_errors.clear()
    subscription.dispose()


async def test_never_emits_inside_subscribe() -> None:
    seen = Seen(rxagents.from_aiter(letters).pipe(ops.probe("here")))
    assert seen.notes == []
    await seen.over.wait()
    assert seen.notes == ["a", "b", "end"]


async def test_ended_probe_forgets_its_last_item() -> None:
    class Item:
        pass

    source: Subject[Item] = Subject()
    subscription = source.pipe(ops.probe("here")).subscribe()
    (meter,) = live_meters()
    source.on_next(Item())
    assert isinstance(meter.read().last, Item)
    subscription.dispose()
    assert meter.read().last is None


async def test_gated_time_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", asyncio.get_running_loop().time)
    stream = rxagents.from_aiter(Numbers(20)).pipe(ops.probe("here"))
    async with rxagents.to_aiter(stream, capacity=4) as items:
        await asyncio.sleep(1)
        gated = the_probe()
        assert (gated.items, gated.buffered) == (4, 4)
        assert gated.gated == pytest.approx(1)
        assert gated.blocked == pytest.approx(1)
        assert gated.downstream == 0
        read = [await anext(items), await anext(items)]
        await asyncio.sleep(0)
        read += [item async for item in items]
    assert read == list(range(20))


async def test_ended_probe_leaves_the_gate() -> None:
    source: Subject[int] = Subject()
    async with rxagents.to_aiter(source.pipe(ops.probe("here"))):
        (meter,) = live_meters()
        assert meter.bridge is not None
        gate = meter.bridge.gate
        assert len(gate._watchers or ()) == 1
        source.on_completed()
        assert len(gate._watchers or ()) == 0
        assert meter.bridge is None


def test_items_that_wait_for_to_iter_are_counted() -> None:
    items = rxagents.to_iter(rxagents.from_aiter(Numbers(9)).pipe(ops.probe("here")), capacity=4)
    assert next(items) == 0
    for _ in range(2000):
        if (waiting := the_probe().buffered) in {3, 4}:
            break
        time.sleep(0.001)
    assert waiting in {3, 4}
    assert list(items) == list(range(1, 9))


@pytest.mark.parametrize("name", ["", 3, None])
def test_name_must_be_text(name: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="name must be a text of one"):
        ops.probe(name)


def test_pipe_is_refused_in_a_plain_loop() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="plain for loop"):
        iter(rx.of(1).pipe(ops.probe("here")))
