"""Test the actor that holds the limiter of a cluster, without Ray, in virtual time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rxagents import ConfigurationError, LimitedRequest
from rxagents.cluster import RayLimiter, ray
from rxagents.cluster.ray_limiter import LimiterActor


def request(key: str) -> LimitedRequest:
    return LimitedRequest("openai", "m", 10, 10, key)


@asynccontextmanager
async def limiter_actor(concurrent: int) -> AsyncIterator[LimiterActor]:
    actor = LimiterActor({"concurrent": concurrent})
    yield actor
    if actor._watcher is not None:
        actor._watcher.cancel()


async def test_keys_of_all_holders_take_turns() -> None:
    async with limiter_actor(concurrent=1) as actor:
        await actor.acquire("first", 0, request("a"))
        order: list[str] = []

        async def ask(holder: str, number: int, key: str) -> None:
            assert await actor.acquire(holder, number, request(key))
            order.append(key)
            await actor.settle(holder, number, 5)

        asked = [("first", 1, "a"), ("first", 2, "a"), ("second", 1, "b"), ("third", 1, "c")]
        tasks = [asyncio.create_task(ask(*each)) for each in asked]
        await asyncio.sleep(1)
        await actor.settle("first", 0, 5)
        await asyncio.gather(*tasks)
    assert order == ["a", "b", "c", "a"]


async def test_permits_of_silent_holder_end() -> None:
    async with limiter_actor(concurrent=1) as actor:
        await actor.acquire("killed", 1, request("a"))
        waiter = asyncio.create_task(actor.acquire("alive", 1, request("b")))
        for _ in range(6):
            await actor.renew("alive")
            await asyncio.sleep(5)
        assert waiter.done()


async def test_permits_of_holder_that_renews_stay() -> None:
    async with limiter_actor(concurrent=1) as actor:
        await actor.acquire("alive", 1, request("a"))
        for _ in range(12):
            await actor.renew("alive")
            await asyncio.sleep(5)
        assert (await actor.state()).in_flight == 1


@pytest.mark.parametrize("is_early", [True, False], ids=["before it asks", "while it waits"])
async def test_request_that_leaves_gets_no_permit(is_early: bool) -> None:
    async with limiter_actor(concurrent=1) as actor:
        await actor.acquire("holder", 1, request("a"))
        if is_early:
            await actor.leave("holder", 2)
        asked = asyncio.create_task(actor.acquire("holder", 2, request("a")))
        await asyncio.sleep(1)
        if not is_early:
            await actor.leave("holder", 2)
        assert await asked is False
        assert asyncio.get_running_loop().time() < 10  # not dropped as a silent holder
        await actor.leave("holder", 1)
        state = await actor.state()
        assert (state.in_flight, state.waiting) == (0, {})


async def test_refusal_holds_all_holders_back() -> None:
    async with limiter_actor(concurrent=5) as actor:
        await actor.acquire("first", 1, request("a"))
        await actor.refused("first", 1, 10)
        start = asyncio.get_running_loop().time()
        await actor.acquire("second", 1, request("b"))
        assert asyncio.get_running_loop().time() - start >= 10


def test_missing_ray_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[ray\]'"):
        ray()
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[ray\]'"):
        RayLimiter("openai")
