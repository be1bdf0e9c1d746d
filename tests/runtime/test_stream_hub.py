"""Test `Hub`: its order, its demand, and who comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reactivex as rx
from observing import FAILURE, Numbers, Seen, fail, in_thread, settle
from reactivex.subject import Subject

from rxagents import BackpressureError, ConfigurationError, Hub, Overflow, from_aiter, to_aiter


async def test_consumers_get_all_items_in_one_order() -> None:
    hub = Hub[Any]()
    first, second = Seen(hub.stream()), Seen(hub.stream())
    hub.publish(from_aiter(Numbers(20)))
    hub.publish(from_aiter(_letters))
    await settle()
    late = Seen(hub.stream())
    await hub.send("last")
    hub.close()
    assert first.notes == second.notes
    assert {*first.items} == {*range(20), *"abc", "last"}
    assert [item for item in first.items if isinstance(item, int)] == list(range(20))
    assert (late.notes, hub.consumers, hub.producers) == (["last", "end"], 0, 0)


async def test_item_published_by_a_consumer_comes_after() -> None:
    hub, numbers = Hub[int](), Subject[int]()

    def answer(item: int) -> None:
        if item < 10:
            numbers.on_next(item + 10)

    hub.publish(numbers)
    first, second = Seen(hub.stream(), answer), Seen(hub.stream())
    await settle()
    numbers.on_next(1)
    assert (first.items, second.items) == ([1, 11], [1, 11])
    hub.close()


async def test_producers_wait_for_the_first_consumer() -> None:
    numbers, hub = Numbers(), Hub[int]()
    hub.publish(from_aiter(numbers))
    await asyncio.sleep(1)
    assert numbers.made <= 2
    async with to_aiter(hub.stream(), capacity=2) as items:
        assert [await anext(items) for _ in range(10)] == list(range(10))
    made = numbers.made
    await asyncio.sleep(1)
    assert numbers.made <= made + 1
    await hub.aclose()
    assert numbers.closed == 1


async def test_slowest_consumer_sets_the_pace() -> None:
    numbers, hub = Numbers(), Hub[int](capacity=4)
    hub.publish(from_aiter(numbers))
    async with hub, to_aiter(hub.stream(), capacity=2) as slow:
        quick = Seen(hub.stream())
        await asyncio.sleep(1)
        assert numbers.made <= 2 + 4 + 3
        count = len(quick.notes)
        assert [await anext(slow) for _ in range(20)] == list(range(20))
        assert len(quick.notes) > count
    assert quick.items == list(range(len(quick.items)))
    assert quick.completed


async def test_slow_consumer_that_leaves_frees_the_others() -> None:
    numbers, hub = Numbers(200), Hub[int](capacity=4)
    async with hub:
        async with to_aiter(hub.stream(), capacity=2):
            quick = Seen(hub.stream())
            hub.publish(from_aiter(numbers))
            await asyncio.sleep(1)
            assert len(quick.notes) < 20
        await asyncio.sleep(1)
        assert quick.items == list(range(200))


async def test_drop_oldest_never_slows_the_producer() -> None:
    hub = Hub[int](capacity=3, overflow=Overflow.DROP_OLDEST)
    async with hub, to_aiter(hub.stream(), capacity=2) as items:
        await settle()
        hub.publish(from_aiter(Numbers(50)))
        await asyncio.sleep(1)
        assert hub.producers == 0
        hub.close()
        assert [item async for item in items] == [0, 1, 47, 48, 49]


async def test_error_policy_fails_the_slow_consumer_alone() -> None:
    hub = Hub[int](capacity=3, overflow=Overflow.ERROR)
    async with hub, to_aiter(hub.stream(), capacity=2) as items:
        quick = Seen(hub.stream())
        hub.publish(from_aiter(Numbers(50)))
        await asyncio.sleep(1)
        seen = []
        with pytest.raises(BackpressureError):
            async for item in items:
                seen.append(item)
        assert seen == [0, 1, 2, 3, 4]
        assert quick.items == list(range(50))


async def test_senders_wait_their_turn() -> None:
    hub = Hub[int](capacity=2)
    async with hub, to_aiter(hub.stream(), capacity=2) as items:
        senders = [asyncio.create_task(hub.send(number)) for number in range(20)]
        await settle()
        assert sum(sender.done() for sender in senders) <= 5
        assert sorted([await anext(items) for _ in range(20)]) == list(range(20))
        await asyncio.gather(*senders)


async def test_raising_consumer_leaves_the_others_alone(loop_errors: list[Exception]) -> None:
    hub = Hub[int]()
    hub.stream().subscribe(fail)
    other = Seen(hub.stream())
    hub.publish(from_aiter(Numbers(3)))
    await settle()
    assert (other.items, hub.consumers, loop_errors) == ([0, 1, 2], 1, [FAILURE])
    loop_errors.clear()
    hub.close()


async def test_failed_producer_ends_alone(loop_errors: list[Exception]) -> None:
    hub, errors = Hub[int](), list[Exception]()
    seen = Seen(hub.stream())
    hub.publish(rx.throw(FAILURE), on_error=errors.append)
    hub.publish(rx.throw(FAILURE))
    await hub.send(1)
    assert (seen.notes, errors, loop_errors) == ([1], [FAILURE], [FAILURE])
    loop_errors.clear()
    hub.close()


async def test_producer_is_stopped_from_another_thread() -> None:
    numbers, hub = Numbers(), Hub[int]()
    subscription = hub.publish(from_aiter(numbers))
    await settle()
    in_thread(subscription.dispose)
    await numbers.over.wait()
    assert hub.producers == 0


async def test_consumer_after_close_gets_the_end() -> None:
    hub = Hub[int]()
    early = Seen(hub.stream())
    hub.close(FAILURE)
    late = Seen(hub.stream())
    assert not late.notes
    await settle()
    assert early.notes == late.notes == [FAILURE]
    with pytest.raises(ConfigurationError, match="The hub is closed"):
        await hub.send(1)


async def test_source_that_ignores_its_gate_meets_the_limit() -> None:
    subject, hub = Subject[int](), Hub[int]()
    errors: list[Exception] = []
    hub.publish(subject, on_error=errors.append)
    for number in range(16_385):
        subject.on_next(number)
    assert [type(error) for error in errors] == [BackpressureError]
    assert not subject.observers


@pytest.mark.parametrize("arguments", [{"capacity": 0}, {"overflow": "block"}])
def test_bad_arguments_raise(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        Hub(**arguments)


async def _letters() -> AsyncIterator[str]:
    for letter in "abc":
        await asyncio.sleep(0)
        yield letter
