"""Test `stop_with` and `KillSwitch`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, Seen, in_thread, settle
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, KillSwitch, OpenAI, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedServer

on_next: Any = ReactiveTest.on_next
on_error, on_completed = ReactiveTest.on_error, ReactiveTest.on_completed
subscribe = ReactiveTest.subscribe
FAILURE = RuntimeError("the agent went astray")


@pytest.mark.parametrize(
    ("use", "end"),
    [
        (KillSwitch.shutdown, on_completed(225)),
        (lambda switch: switch.abort(FAILURE), on_error(225, FAILURE)),
    ],
    ids=["shutdown", "abort"],
)
def test_switch_ends_the_stream_in_virtual_time(use: Any, end: Any) -> None:
    scheduler, switch = TestScheduler(), KillSwitch()
    source = scheduler.create_hot_observable(on_next(210, 1), on_next(230, 2))
    scheduler.schedule_absolute(225, lambda *_: use(switch))
    observer: Any = scheduler.start(lambda: source.pipe(ops.stop_with(switch)))
    assert observer.messages == [on_next(210, 1), end]
    assert source.subscriptions == [subscribe(200, 225)]
    assert switch.running == 0


async def test_all_streams_stop_and_close_their_requests() -> None:
    switch = KillSwitch()
    async with ScriptedServer(Reply("word " * 200, interval=1)) as server:
        async with OpenAI("m", base_url=server.url) as llm:
            streams = [Seen(llm.chat_stream("hi").pipe(ops.stop_with(switch))) for _ in range(3)]
            for seen in streams:
                await seen.first.wait()
            assert switch.running == 3
            switch.shutdown()
            counts = [len(seen.notes) for seen in streams]
            for seen in streams:
                await seen.over.wait()
            assert [len(seen.items) for seen in streams] == counts
            assert all(seen.completed for seen in streams)
            await server.disconnected(3)


async def test_stream_after_the_switch_starts_no_source() -> None:
    numbers, switch = Numbers(), KillSwitch()
    switch.abort(FAILURE)
    seen = Seen(from_aiter(numbers).pipe(ops.stop_with(switch)))
    assert not seen.notes
    await seen.over.wait()
    assert (seen.notes, numbers.started) == ([FAILURE], 0)
    switch.shutdown()
    assert switch.error is FAILURE


async def test_switch_works_from_another_thread() -> None:
    switch = KillSwitch()
    seen = Seen(from_aiter(Numbers()).pipe(ops.stop_with(switch)))
    await seen.first.wait()
    in_thread(switch.shutdown)
    await seen.over.wait()
    assert len(seen.threads) == 1


async def test_end_does_not_nest_inside_an_item() -> None:
    switch, inside = KillSwitch(), [False]

    def stop(_: int) -> None:
        inside[0] = True
        switch.shutdown()
        inside[0] = False

    ends: list[bool] = []
    from_aiter(Numbers()).pipe(ops.stop_with(switch)).subscribe(
        stop, on_completed=lambda: ends.append(inside[0])
    )
    await settle()
    assert ends == [False]


async def test_drain_waits_for_streams_that_end() -> None:
    switch = KillSwitch()
    running = Seen(rx.timer(0).pipe(ops.stop_with(switch)))
    slow = Seen(from_aiter(_after_five).pipe(ops.stop_with(switch)))
    loop = asyncio.get_running_loop()
    start = loop.time()
    draining = asyncio.create_task(switch.drain(60))
    await asyncio.sleep(1)
    late = Seen(from_aiter(_after_five).pipe(ops.stop_with(switch)))
    assert await draining
    assert loop.time() - start == pytest.approx(5)
    assert (running.items, slow.items, late.notes) == ([0], [5], ["end"])


async def test_drain_stops_what_is_left() -> None:
    switch = KillSwitch()
    numbers = Numbers()
    async with to_aiter(from_aiter(numbers).pipe(ops.stop_with(switch)), capacity=2) as items:
        assert not await switch.drain(3)
        assert [item async for item in items][:2] == [0, 1]
    assert numbers.closed == 1


async def test_disposed_stream_leaves_the_switch() -> None:
    switch = KillSwitch()
    seen = Seen(from_aiter(Numbers()).pipe(ops.stop_with(switch)))
    await seen.first.wait()
    in_thread(seen.subscription.dispose)
    assert switch.running == 0
    assert await switch.drain()


def test_bad_arguments_raise() -> None:
    with pytest.raises(ConfigurationError, match="switch must be"):
        ops.stop_with("off")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="error must be"):
        KillSwitch().abort("off")  # type: ignore[arg-type]  # on purpose


async def _after_five() -> Any:
    await asyncio.sleep(5)
    yield 5
