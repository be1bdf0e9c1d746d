"""Share one limiter between processes and loops through a Redis server."""

from __future__ import annotations

import asyncio
import pickle
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from child import run_program, started
from matrix import only_full, size
from redis_server import RedisServer, missing
from worker_agents import make_limited

import rxagents
from rxagents import (
    ConfigurationError,
    FunctionAgent,
    LimitedRequest,
    LimiterState,
    RedisLimiter,
    StorageError,
    Usage,
)
from rxagents.runtime import forks
from rxagents.storage import redis_turns, redis_worker
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer, rate_limit

pytestmark = pytest.mark.real_time


def request(key: str = "a") -> LimitedRequest:
    return LimitedRequest("openai", "m", 10, 10, key)


def key_of(request: LimitedRequest) -> Any:
    return request.context


New = Callable[..., RedisLimiter]


async def waiting_in(limiter: RedisLimiter, number: int = 1) -> LimiterState:
    """Return the state when so many requests wait."""
    while True:
        state = await limiter.state()
        if sum(state.waiting.values()) == number:
            return state
        await asyncio.sleep(0.01)


@pytest.fixture
def new(redis_url: str, tmp_path: Path) -> Iterator[New]:
    """Makes limiters that share one name."""
    made: list[RedisLimiter] = []

    def new(url: str = redis_url, **options: Any) -> RedisLimiter:
        made.append(RedisLimiter(url, str(tmp_path), **options))
        return made[-1]

    yield new
    for limiter in made:
        limiter._turns.close().result(30)


async def test_waiting_request_is_woken_by_other_holder(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 1e6)  # only a message can wake it
    one, other = new(concurrent=1), new()
    permit = await one.acquire(request())
    waiting = asyncio.ensure_future(other.acquire(request()))
    await waiting_in(one)
    permit.settle(5)
    (await waiting).settle(5)
    state = await other.state()
    assert (state.in_flight, state.waiting) == (0, {})


async def test_request_is_sent_when_its_time_comes(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 1e6)  # only the message makes it look
    limiters = [new(requests_per_minute=1200, burst=0), new()]
    for _ in range(size(5, quick=2)):
        permits = await asyncio.gather(*(each.acquire(request()) for each in limiters))
        for permit in permits:
            permit.settle(1)
    assert (await limiters[0].state()).requests_left == 0


async def test_lost_message_is_made_good(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 0.05)
    one, other = new(concurrent=1), new()
    permit = await one.acquire(request())
    waiting = asyncio.ensure_future(other.acquire(request()))
    await waiting_in(one)
    grant = other._turns._grant
    monkeypatch.setattr(other._turns, "_grant", lambda *_: None)
    permit.settle(5)
    await waiting_in(one, 0)
    monkeypatch.setattr(other._turns, "_grant", grant)
    (await waiting).settle(5)


@pytest.mark.parametrize("crowded", [100, pytest.param(1000, marks=only_full)])
async def test_crowded_key_does_not_delay_others(new: New, crowded: int) -> None:
    one, other = (new(concurrent=1, fair_by=key_of) for _ in range(2))
    permit = await one.acquire(request("A"))
    served: list[str] = []

    async def ask(limiter: RedisLimiter, key: str) -> None:
        permit = await limiter.acquire(request(key))
        served.append(key)
        permit.settle(1)

    crowd = [asyncio.ensure_future(ask(one, "A")) for _ in range(crowded)]
    await waiting_in(one, crowded)
    others = [asyncio.ensure_future(ask(other, "B")) for _ in range(5)]
    await waiting_in(other, crowded + 5)
    permit.settle(1)
    await asyncio.gather(*others)
    assert "".join(served)[:10] in ("ABABABABAB", "BABABABABA")
    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)
    await other.state()  # its calls have ended
    state = await one.state()
    assert (state.in_flight, state.waiting) == (0, {})


async def test_cancelled_request_leaves_nothing(redis_url: str, tmp_path: Path, new: New) -> None:
    limiter = new(concurrent=1, requests_per_minute=6000)
    permit = await limiter.acquire(request())
    waiting = [asyncio.ensure_future(limiter.acquire(request())) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await waiting_in(limiter, 2)
    waiting[1].cancel()
    await asyncio.wait(waiting[:2])
    permit.give_back()
    (await waiting[2]).settle(1)
    state = await limiter.state()
    assert (state.in_flight, state.waiting) == (0, {})
    with redis.Redis.from_url(redis_url) as client:
        names = client.keys(f"*{tmp_path}*")
    assert len(names) == 2  # the limiter, and the lease of this process


async def test_permit_granted_to_cancelled_task_is_given_back(new: New) -> None:
    limiter = new(concurrent=1)
    task = asyncio.ensure_future(limiter.acquire(request()))
    await asyncio.sleep(0)
    (waiter,) = limiter._turns._waiting.values()
    waiter.turn.exception(30)  # blocks the loop, so that the task cannot run
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    (await limiter.acquire(request())).settle(1)


@pytest.mark.parametrize("retry_after", [3600, None], ids=["seconds", "reset header"])
async def test_refusal_holds_all_processes_back(new: New, retry_after: float | None) -> None:
    one, other = new(), new()
    permit = await one.acquire(request())
    permit.learn({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"})
    permit.refused(retry_after)
    permit.settle(0)
    waiting = asyncio.ensure_future(other.acquire(request()))
    state = await waiting_in(other)
    assert 3500 < state.next_free_in <= 3600
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_headers_of_provider_lower_limit_of_all(new: New) -> None:
    one, other = new(tokens_per_minute=1_000_000), new()
    permit = await one.acquire(request())
    headers = {"x-ratelimit-limit-tokens": "6100", "x-ratelimit-remaining-tokens": "30"}
    permit.learn({**headers, "x-ratelimit-limit-requests": "61"})
    permit.settle(20)
    state = await other.state()
    assert state.requests_left == 1
    assert state.tokens_left is not None
    assert 30 <= state.tokens_left <= 50


async def test_actual_tokens_replace_reserved_ones(new: New) -> None:
    limiter = new(tokens_per_minute=61)
    llm = ScriptedLLM(Reply("Hello", usage=Usage(9, 1, 10)), limiter=limiter)
    await llm.chat("x" * 40, max_tokens=50)
    state = await limiter.state()
    assert state.tokens_left in (-9, -8)  # one, without what was used


async def test_limits_change_for_all(new: New) -> None:
    one, other = new(concurrent=1), new()
    permit = await one.acquire(request())
    waiting = asyncio.ensure_future(one.acquire(request()))
    await waiting_in(other)
    await other.change(concurrent=2)
    (await waiting).settle(1)
    permit.settle(1)
    with pytest.raises(ConfigurationError, match="Did you mean concurrent"):
        await other.change(concurent=1)  # type: ignore[call-arg]  # misspelt
    with pytest.raises(ConfigurationError, match="concurrent must be a whole number"):
        await other.change(concurrent=0)


_HOLDER = """
    import asyncio, sys
    import rxagents
    from rxagents.storage import redis_turns

    redis_turns._LEASE, redis_turns._REPEAT = 0.6, 0.1

    async def main() -> None:
        limiter = rxagents.RedisLimiter(*sys.argv[1:], concurrent=2)
        for _ in range(2):
            await limiter.acquire(rxagents.LimitedRequest("openai", "m", 1, 1))
        waiting = asyncio.ensure_future(
            limiter.acquire(rxagents.LimitedRequest("openai", "m", 1, 1))
        )
        await asyncio.sleep(0.8)
        print("ready", flush=True)
        await waiting
    asyncio.run(main())
"""


async def test_lease_is_renewed_while_request_is_sent(
    new: New, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_RENEW", 0.01)
    limiter = new()
    permit = await limiter.acquire(request())
    place = f"{limiter._turns._base}:holders", limiter._turns._holder
    with redis.Redis.from_url(redis_url) as client:
        first = client.zscore(*place)
        while client.zscore(*place) == first:  # noqa: ASYNC110  # only the server knows
            await asyncio.sleep(0.01)
    permit.settle(1)


async def test_permits_end_with_lease_of_other_holder(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 0.02)
    one, other = new(concurrent=1), new()
    permit = await one.acquire(request())
    waiting = asyncio.ensure_future(other.acquire(request()))
    await waiting_in(one)
    with redis.Redis.from_url(one._url) as client:  # as a lease that has ended
        client.zadd(f"{one._turns._base}:holders", {one._turns._holder: 1})
    (await waiting).settle(1)
    permit.settle(1)
    state = await other.state()
    assert (state.in_flight, state.waiting) == (0, {})


@only_full
async def test_killed_process_gives_back_its_permits(
    redis_url: str, tmp_path: Path, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 0.1)
    command = [sys.executable, "-c", textwrap.dedent(_HOLDER), redis_url, str(tmp_path)]
    with started(command, stdout=-1) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        limiter = new()
        state = await limiter.state()
        assert (state.in_flight, state.waiting) == (2, {None: 1})  # a lease was renewed
        waiting = [asyncio.ensure_future(limiter.acquire(request())) for _ in range(2)]
        process.send_signal(signal.SIGKILL)
        for permit in await asyncio.gather(*waiting):
            permit.settle(1)
        state = await limiter.state()
        assert (state.in_flight, state.waiting) == (0, {})


async def test_process_that_stood_still_asks_again(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 0.05)
    one, other = new(concurrent=1), new()
    permit = await one.acquire(request())
    waiting = asyncio.ensure_future(other.acquire(request()))
    await waiting_in(one)
    with redis.Redis.from_url(one._url) as client:  # as a lease that has ended
        client.zadd(f"{one._turns._base}:holders", {other._turns._holder: 1})
    await one.state()
    permit.settle(1)
    (await waiting).settle(1)


async def test_server_that_has_lost_its_data_goes_on(
    new: New, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_turns, "_REPEAT", 0.05)
    limiter = new(concurrent=1)
    first = await limiter.acquire(request())
    waiting = [asyncio.ensure_future(limiter.acquire(request())) for _ in range(2)]
    await waiting_in(limiter, 2)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys(f"{limiter._turns._base}*"))
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    first.settle(1)
    assert (await limiter.state()).in_flight == 1  # the limit is still known
    assert len(done) == 1
    for permit in await asyncio.gather(*done):
        permit.settle(1)
    for permit in await asyncio.gather(*set(waiting) - done):
        permit.settle(1)


async def test_server_that_ends_fails_requests_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := missing():
        pytest.skip(reason)
    monkeypatch.setattr(redis_worker, "_WAITS", (0.01,))
    monkeypatch.setattr(redis_turns, "_REPEAT", 0.05)
    server = RedisServer()
    server.start()
    try:
        limiter = RedisLimiter(server.url, "test", concurrent=1)
        permit = await limiter.acquire(request())
        waiting = asyncio.ensure_future(limiter.acquire(request()))
        await waiting_in(limiter)
        server.kill()
        with pytest.raises(StorageError, match="Redis failed"):
            await waiting
        with pytest.raises(StorageError, match="Redis failed"):
            await ScriptedLLM("Hello", limiter=limiter).chat("Hi")
        permit.settle(1)
        await asyncio.to_thread(server.start)
        await limiter.change(concurrent=3)  # the old holder counts until its lease ends
        (await limiter.acquire(request())).settle(1)
        await limiter.aclose()
    finally:
        server.close()


async def test_nothing_waits_for_server_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := missing():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    try:
        limiter = RedisLimiter(server.url, "test")
        turns, ticks, has_ticked = limiter._turns, [], asyncio.Event()
        loop, tick = asyncio.get_running_loop(), turns._tick

        def watched(holder: str, *, repeats: bool) -> None:
            ticks.append(repeats)
            tick(holder, repeats=repeats)
            loop.call_soon_threadsafe(has_ticked.set)

        monkeypatch.setattr(turns, "_tick", watched)
        permit = await limiter.acquire(request())
        await has_ticked.wait()
        permit.settle(1)
        await limiter.state()
        thread = turns._thread
        server.kill()
        if thread is not None:
            await asyncio.to_thread(thread.join, 30)
        assert len(ticks) == 1
    finally:
        server.close()


async def test_server_that_is_away_is_storage_error(tmp_path: Path) -> None:
    limiter = RedisLimiter(f"unix://:s3cret@{tmp_path}/none", "test", concurrent=1)
    with pytest.raises(StorageError, match="Check that the server of `url` runs") as raised:
        await FunctionAgent(ScriptedLLM("Hello"), limiter=limiter).run("Hi")
    assert "s3cret" not in str(raised.value) + repr(limiter)


async def test_names_of_keys_stay_in_process(new: New, redis_url: str, tmp_path: Path) -> None:
    one, other = (new(concurrent=1, fair_by=key_of) for _ in range(2))
    permit = await one.acquire(request("sk-secret"))
    waiting = asyncio.ensure_future(one.acquire(request("sk-secret")))
    await waiting_in(one)
    assert (await one.state()).waiting == {"sk-secret": 1}
    ((digest, number),) = (await other.state()).waiting.items()
    assert (len(digest), number) == (24, 1)
    with redis.Redis.from_url(redis_url) as client:
        for name in client.keys(f"*{tmp_path}*"):
            assert b"secret" not in name + client.dump(name)
    permit.settle(1)
    (await waiting).settle(1)


async def test_threads_end_when_nothing_waits(new: New) -> None:
    limiter = new(concurrent=1)
    permit = await limiter.acquire(request())
    thread = limiter._turns._thread
    assert thread is not None
    assert thread.daemon
    assert not thread.is_working  # virtual time passes meanwhile
    permit.settle(1)
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()
    (await limiter.acquire(request())).settle(1)


def make_agent() -> FunctionAgent:
    return FunctionAgent(ScriptedLLM("Hello"))


@pytest.mark.parametrize(
    "engine", [None, pytest.param(2, marks=only_full)], ids=["loop", "processes"]
)
async def test_run_many_waits_for_limiter(new: New, engine: int | None) -> None:
    limiter = new(concurrent=1, fair_by=key_of)
    options: Any = {} if engine is None else {"engine": rxagents.processes(engine)}
    runs = rxagents.run_many(make_agent, ["Hi"] * 5, concurrency=5, limiter=limiter, **options)
    async with rxagents.to_aiter(runs) as events:
        answers = [event.content async for _, event in events if event.type == "answer"]
    assert answers == ["Hello"] * 5
    assert (await limiter.state()).in_flight == 0


async def test_disposed_workers_leave_the_line(new: New, redis_url: str, tmp_path: Path) -> None:
    limiter = new()
    factory = partial(make_limited, redis_url, str(tmp_path))
    runs = rxagents.run_many(factory, ["Hi"] * 30, concurrency=30, engine=rxagents.processes(1))
    async with rxagents.to_aiter(runs):
        await waiting_in(limiter, 29)
    state = await limiter.state()
    assert (state.in_flight, state.waiting) == (0, {})


def test_pickled_limiter_is_holder_of_its_own(redis_url: str, tmp_path: Path) -> None:
    limiter = RedisLimiter(redis_url, str(tmp_path), concurrent=1, fair_by=key_of)
    copied = pickle.loads(pickle.dumps(limiter))
    assert repr(copied) == repr(limiter)
    assert copied._turns._holder != limiter._turns._holder

    async def use(limiter: RedisLimiter) -> int:
        permit = await limiter.acquire(request())
        permit.settle(1)
        permit.give_back()
        state = await limiter.state()
        await limiter.aclose()
        return state.in_flight

    assert asyncio.run(use(limiter)) == asyncio.run(use(copied)) == 0
    assert asyncio.run(use(limiter)) == 0  # on the next loop


async def test_request_waits_once_for_limiter_of_one_name(new: New) -> None:
    of_model, of_agent = (new(requests_per_minute=610, burst=1) for _ in range(2))
    agent = FunctionAgent(ScriptedLLM("Hello", limiter=of_model), limiter=of_agent)
    await agent.run("Hi")
    assert (await of_agent.state()).requests_left == 9
    assert len({of_model, of_agent, new()}) == 1
    assert of_model != RedisLimiter(of_model._url, "another name")


_FORKING = """
    import asyncio, os, sys
    import rxagents

    limiter = rxagents.RedisLimiter(*sys.argv[1:], concurrent=1)

    async def use(times: int) -> None:
        request = rxagents.LimitedRequest("openai", "m", 1, 1)
        for _ in range(times):
            permits = [asyncio.ensure_future(limiter.acquire(request)) for _ in range(5)]
            for permit in permits:
                (await permit).settle(1)

    asyncio.run(use({before}))
    child = os.fork()
    asyncio.run(use(5))
    if child:
        assert os.waitpid(child, 0)[1] == 0
    print(limiter._turns._holder)
    sys.stdout.flush()
"""


async def test_reset_after_fork_makes_new_holder(new: New) -> None:
    limiter = new(concurrent=1)
    holder = limiter._turns._holder
    forks._reset_all()
    assert limiter._turns._holder != holder
    (await limiter.acquire(request())).settle(1)


@only_full
@pytest.mark.skipif("sys.platform == 'win32'")
@pytest.mark.parametrize("before", [0, 1], ids=["fresh", "used before"])
async def test_forked_process_is_holder_of_its_own(
    new: New, redis_url: str, tmp_path: Path, before: int
) -> None:
    program = _FORKING.format(before=before)
    output = await asyncio.to_thread(run_program, program, arguments=[redis_url, str(tmp_path)])
    assert len(set(output.split())) == 2
    state = await new().state()
    assert (state.in_flight, state.waiting) == (0, {})


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="the URL of a Redis server"):
        RedisLimiter("http://:s3cret@localhost", "name")
    for name in ("", "{a}", 1):
        with pytest.raises(ConfigurationError, match="name must be a text without braces"):
            RedisLimiter("redis://localhost", name)  # type: ignore[arg-type]  # a number
    with pytest.raises(ConfigurationError, match="requests_per_minute"):
        RedisLimiter("redis://localhost", "name", requests_per_minute=0)
    with pytest.raises(ConfigurationError, match="Did you mean concurrent"):
        RedisLimiter("redis://localhost", "name", concurent=1)  # type: ignore[call-arg]  # misspelt


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[redis\]'"):
        RedisLimiter("redis://localhost", "name")


_SENDER = """
    import asyncio, sys
    import rxagents

    async def main() -> None:
        url, name, server = sys.argv[1:]
        limiter = rxagents.RedisLimiter(url, name, requests_per_minute=1800, burst=0.25)
        async with rxagents.OpenAI(
            "any", api_key="any", base_url=server, limiter=limiter, max_retries=0
        ) as llm:
            await asyncio.gather(*(llm.chat("Hi") for _ in range(45)))
    asyncio.run(main())
"""


@asynccontextmanager
async def strict_server() -> AsyncIterator[ScriptedServer]:
    """A host that admits 50 requests in any second."""
    async with ScriptedServer(Reply("Hello"), requests_per_minute=50) as server:
        yield server


@only_full
async def test_two_processes_keep_limit_of_host(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone would be admitted: both together send 1.5 times as many as the host admits."""
    monkeypatch.setattr(rate_limit, "_SECONDS", 1.0)
    monkeypatch.setattr(rate_limit.RateLimit, "with_headers", lambda _, reply: reply)
    async with strict_server() as server:
        command = [sys.executable, "-c", textwrap.dedent(_SENDER), redis_url, str(tmp_path)]
        processes = [await asyncio.create_subprocess_exec(*command, server.url) for _ in range(2)]
        assert [await process.wait() for process in processes] == [0, 0]
        assert server.refusals == 0
        assert len(server.requests) == 90
        # A program that ends waits for its last call.
        assert (await RedisLimiter(redis_url, str(tmp_path)).state()).in_flight == 0
