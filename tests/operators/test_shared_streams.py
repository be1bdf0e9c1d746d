"""Test the costs of sharing, and subscribers on other loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from cpu_time import cpu_seconds
from observing import Seen, in_thread, settle
from reactivex import Observable
from reactivex.subject import Subject

import rxagents
from rxagents import operators as ops
from rxagents.operators._replay import ReplayBuffer

SHARING: dict[str, Callable[[], Callable[[Observable[Any]], Observable[Any]]]] = {
    "share": ops.share_bounded,
    "replay": lambda: ops.replay_bounded(10),
}

each_operator = pytest.mark.parametrize("name", SHARING)


@each_operator
async def test_subscriber_on_other_loop_gets_typed_error(name: str) -> None:
    source: Subject[int] = Subject()
    shared = source.pipe(SHARING[name]())
    here = Seen(shared)
    elsewhere: list[Any] = []

    async def subscribe_elsewhere() -> None:
        seen = Seen(shared)
        async with asyncio.timeout(5):
            await seen.over.wait()
        elsewhere.extend([*seen.items, seen.error])

    in_thread(lambda: asyncio.run(subscribe_elsewhere()))
    source.on_next(1)
    source.on_completed()
    await settle()
    (error,) = elsewhere
    assert isinstance(error, rxagents.ConfigurationError)
    assert "another event loop" in str(error)
    assert len(here.items) == 1
    assert here.completed
    assert here.threads == {threading.get_ident()}


@each_operator
def test_new_loop_starts_new_run_after_the_first(name: str) -> None:
    shared = rx.timer(0.001).pipe(SHARING[name]())

    async def leave_early() -> None:
        Seen(shared)
        await asyncio.sleep(0)

    async def read() -> list[Any]:
        seen = Seen(shared)
        await seen.over.wait()
        return seen.notes

    asyncio.run(leave_early())
    notes = asyncio.run(read())
    assert notes[1:] == ["end"]


async def test_leaving_takes_linear_time() -> None:
    def seconds_to_leave(count: int) -> float:
        shared = Subject[int]().pipe(ops.share_bounded())
        subscriptions = [shared.subscribe() for _ in range(count)]
        start = time.process_time()
        for subscription in subscriptions:
            subscription.dispose()
        return time.process_time() - start

    small = min(seconds_to_leave(500) for _ in range(3))
    large = min(seconds_to_leave(8_000) for _ in range(2))
    assert large < 80 * small  # 16 if linear, 256 if quadratic


def test_reading_kept_items_takes_linear_time() -> None:
    def seconds_to_read(count: int) -> float:
        buffer = ReplayBuffer[int](count)
        buffer.filled_from(rx.range(count)).subscribe()
        return cpu_seconds(lambda: [buffer.get(number) for number in range(1, count + 1)])

    assert seconds_to_read(100_000) < 80 * seconds_to_read(5_000)  # 20 if linear, 400 if quadratic
