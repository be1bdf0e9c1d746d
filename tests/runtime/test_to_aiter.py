"""Read Observables with `async for`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, settle
from reactivex import operators as rx_ops
from reactivex.subject import Subject

import rxagents
from rxagents import from_aiter, to_aiter


def plain_subscribe(source: rx.Observable[int]) -> rx.Observable[int]:
    """Pass on everything except the scheduler."""
    return rx.create(lambda observer, _: source.subscribe(observer))


@pytest.mark.parametrize(
    "operator",
    [rx_ops.map(lambda number: number), plain_subscribe],
)
@pytest.mark.parametrize("capacity", [1, 64])
async def test_stopped_reader_stops_the_source(capacity: int, operator: Any) -> None:
    numbers = Numbers()
    async with to_aiter(from_aiter(numbers).pipe(operator), capacity=capacity) as items:
        assert await anext(items) == 0
        await settle()
        assert numbers.made <= capacity + 1
        assert [await anext(items) for _ in range(500)] == list(range(1, 501))
        await settle()
        assert numbers.made <= 501 + capacity + 1
    assert numbers.closed


async def test_iterable_without_waits_yields_to_others() -> None:
    numbers = Numbers()
    later = from_aiter(numbers).pipe(rx_ops.flat_map(rx.of))  # scheduled for the next turn
    async with to_aiter(later, capacity=1) as items:
        assert await anext(items) == 0
        await settle()
        assert numbers.made < 1000


async def test_unstoppable_source_fails_at_limit() -> None:
    subject: Subject[int] = Subject()
    async with to_aiter(subject) as items:
        for number in range(100_000):
            subject.on_next(number)
        read = []
        with pytest.raises(rxagents.BackpressureError, match="raise capacity"):
            async for number in items:
                read.append(number)
    assert read == list(range(16_384))


async def test_items_come_before_the_error() -> None:
    failing = rx.concat(rx.of(1, 2), rx.throw(KeyError("mine")))
    read = []
    with pytest.raises(KeyError):
        async with to_aiter(failing) as items:
            async for item in items:
                read.append(item)
    assert read == [1, 2]


async def test_reading_again_gives_nothing() -> None:
    async with to_aiter(rx.of(1)) as items:
        assert [item async for item in items] == [1]
        assert [item async for item in items] == []


async def test_readers_exception_disposes_the_source() -> None:
    numbers = Numbers()
    with pytest.raises(KeyError):
        async with to_aiter(from_aiter(numbers)) as items:
            await anext(items)
            raise KeyError("mine")
    assert numbers.closed


async def test_cancelled_reader_disposes_the_source() -> None:
    numbers = Numbers()

    async def read_on() -> None:
        async with to_aiter(from_aiter(numbers)) as items:
            async for _ in items:
                await asyncio.sleep(0)

    task = asyncio.create_task(read_on())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert numbers.closed


async def test_second_concurrent_reader_is_refused() -> None:
    async with to_aiter(rx.never()) as items:
        first = asyncio.ensure_future(anext(items))
        await settle()
        with pytest.raises(rxagents.ConfigurationError, match="for each task"):
            await anext(items)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_entering_twice_is_refused() -> None:
    reading = to_aiter(rx.of(1))
    async with reading:
        pass
    with pytest.raises(rxagents.ConfigurationError, match="Call to_aiter again"):
        await reading.__aenter__()


async def test_share_starves_no_other_reader() -> None:
    numbers = Numbers()
    shared = from_aiter(numbers).pipe(rx_ops.share())
    async with to_aiter(shared) as fast:
        async with to_aiter(shared) as slow:
            await anext(slow)
        assert [await anext(fast) for _ in range(1000)][-1] > 900


@pytest.mark.parametrize(
    "arguments",
    [{"capacity": 0}, {"capacity": -1}, {"capacity": 1.5}, {"capacity": True}, {"overflow": "x"}],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(rxagents.ConfigurationError):
        to_aiter(rx.of(1), **arguments)


def test_only_observables_are_read() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="Observable"):
        to_aiter([1, 2])  # type: ignore[arg-type]  # what the test is about


@pytest.mark.parametrize("overflow", rxagents.Overflow)
async def test_fast_reader_gets_everything(
    overflow: rxagents.Overflow,
) -> None:
    subject: Subject[int] = Subject()

    async def emit() -> None:
        for number in range(100):
            subject.on_next(number)
            await settle()
        subject.on_completed()

    async with to_aiter(subject, capacity=1, overflow=overflow) as items:
        emitting = asyncio.create_task(emit())
        assert [number async for number in items] == list(range(100))
        await emitting
        assert items.dropped == 0


async def test_reading_needs_async_with() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="async with"):
        async for _ in rxagents.to_aiter(rx.of(1)):  # type: ignore[attr-defined]  # what the test is about
            pytest.fail("nothing comes")
