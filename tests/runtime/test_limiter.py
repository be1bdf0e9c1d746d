"""Test `Limiter` in virtual time: models and runs wait, leave, and take turns."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextvars import ContextVar
from typing import Any

import pytest
from matrix import only_full, size

import rxagents
from rxagents import (
    ConfigurationError,
    FunctionAgent,
    LimitedRequest,
    Limiter,
    ToolCall,
    Usage,
)
from rxagents.testing import Reply, ScriptedLLM
from rxagents.testing.rate_limit import RateLimit

REQUEST = LimitedRequest("openai", "gpt", 50, 50)


def time() -> float:
    return asyncio.get_running_loop().time()


async def test_first_is_sent_at_once_and_second_waits() -> None:
    limiter = Limiter(requests_per_minute=61)
    llm = ScriptedLLM("Hello", limiter=limiter)
    await llm.chat("Hi")
    assert time() < 0.01
    await llm.chat("Hi")
    assert time() == pytest.approx(1.0, abs=0.01)


class StrictHost(ScriptedLLM):
    """A model whose host counts the requests of any 60 seconds.

    Attributes:
        sent: When each request arrived, with the user who made it.
        refused: How many requests were too many.
    """

    def __init__(self, limit: int, reply: Reply, **options: Any) -> None:
        super().__init__(reply, **options)
        self.sent: list[tuple[float, Any]] = []
        self.refused = 0
        self._rate = RateLimit(limit)

    def arrived(self, user: Any) -> None:
        self.sent.append((time(), user))
        self.refused += self._rate.refusal() is not None


@pytest.mark.parametrize(
    "place",
    [pytest.param("model", marks=only_full), pytest.param("agent", marks=only_full), "run"],
)
async def test_sixty_a_minute_for_500_runs_and_200_left(place: str) -> None:
    chance = random.Random(7)
    limiter = Limiter(requests_per_minute=60, fair_by=lambda request: request.context)
    at: dict[str, Any] = {
        name: {"limiter": limiter} if name == place else {} for name in ("model", "agent", "run")
    }
    host = StrictHost(60, Reply("one two", interval=0.3), **at["model"])

    def run_of(user: int) -> Any:
        def note(event: Any) -> None:
            if event.type == "token" and event.content == "one":
                host.arrived(user)

        agent = FunctionAgent(host, **at["agent"])
        return agent.run_stream("Hi", context=user, **at["run"]).subscribe(note)

    # One user starts half of all runs, and before the others.
    runs = [run_of(user) for user in [0] * 250 + [1 + number % 10 for number in range(250)]]
    loop = asyncio.get_running_loop()
    for number in chance.sample(range(500), 200):
        loop.call_later(chance.uniform(0, 250), runs[number].dispose)
    await asyncio.sleep(120)
    served = Counter(user for _, user in host.sent)
    assert min(served[user] for user in range(11)) >= 120 // 11 - 1
    await asyncio.sleep(400)
    times = [at for at, _ in host.sent]
    assert host.refused == 0
    assert len(times) >= 300
    assert (len(times) - 1) / (times[-1] - times[0]) >= 0.95
    assert (limiter.state().waiting, limiter.state().in_flight) == ({}, 0)


async def test_keys_take_turns() -> None:
    limiter = Limiter(requests_per_minute=61, fair_by=lambda request: request.context)
    served: list[str] = []

    async def send(user: str) -> None:
        permit = await limiter.acquire(LimitedRequest("openai", "gpt", 1, 0, user))
        served.append(user)
        permit.settle(1)

    await asyncio.gather(*(send(user) for user in "AAAAABBC"))
    assert "".join(served) == "AABCABAA"


async def test_key_from_context_variable() -> None:
    user: ContextVar[str] = ContextVar("user")
    limiter = Limiter(concurrent=1, fair_by=lambda _: user.get())
    llm = ScriptedLLM(Reply("Hello", delay=1), limiter=limiter)
    streams = []
    for name in ("Ann", "Bob", "Bob"):
        user.set(name)
        streams.append(llm.chat_stream("Hi").subscribe())
    await asyncio.sleep(0.5)
    assert limiter.state().waiting == {"Bob": 2}
    assert limiter.state().next_free_in == math.inf
    for stream in streams:
        stream.dispose()
    await asyncio.sleep(0)


async def test_disposed_waiter_leaves_at_once() -> None:
    limiter = Limiter(concurrent=1)
    llm = ScriptedLLM(Reply("Hello", delay=1), limiter=limiter)
    streams = [llm.chat_stream("Hi").subscribe() for _ in range(1000)]
    await asyncio.sleep(0.1)
    assert limiter.state().waiting == {None: 999}
    for stream in streams[2::2]:
        stream.dispose()
    await asyncio.sleep(0)
    assert limiter.state().waiting == {None: 500}
    for stream in streams[1::2]:
        stream.dispose()
    await asyncio.sleep(0)
    assert limiter.state().waiting == {}
    assert limiter.state().in_flight == 1
    streams[0].dispose()
    await asyncio.sleep(0)
    assert limiter.state().in_flight == 0


async def test_waiter_cancelled_as_its_turn_comes_passes_it_on() -> None:
    limiter = Limiter(concurrent=1)
    first = await limiter.acquire(REQUEST)
    second = asyncio.ensure_future(limiter.acquire(REQUEST))
    third = asyncio.ensure_future(limiter.acquire(REQUEST))
    await asyncio.sleep(0)
    first.settle(None)  # wakes the second, whose task has yet to run
    second.cancel()
    permit = await third
    assert second.cancelled()
    permit.settle(None)
    permit.settle(None)
    assert limiter.state().in_flight == 0


async def test_limits_change_while_requests_wait() -> None:
    limiter = Limiter(requests_per_minute=1)
    await limiter.acquire(REQUEST)
    waiting = asyncio.ensure_future(limiter.acquire(REQUEST))
    await asyncio.sleep(1)
    assert limiter.state().next_free_in == pytest.approx(60)
    limiter.change(requests_per_minute=6100)
    await waiting
    assert time() < 1.02
    limiter.change(concurrent=2)
    waiting = asyncio.ensure_future(limiter.acquire(REQUEST))
    await asyncio.sleep(1)
    assert not waiting.done()
    limiter.change(concurrent=None)
    await waiting
    with pytest.raises(ConfigurationError, match="Did you mean requests_per_minute"):
        limiter.change(requests_per_minut=1)  # type: ignore[call-arg]  # misspelt


async def test_reserves_estimate_and_settles_with_usage() -> None:
    limiter = Limiter(tokens_per_minute=61_000)
    llm = ScriptedLLM(Reply("Hello", delay=1, usage=Usage(9, 1, 10)), limiter=limiter)
    stream = llm.chat_stream("x" * 4000, max_tokens=500).subscribe()
    await asyncio.sleep(0.5)
    assert limiter.state().tokens_left == 500 - 1504 + 500  # half a second's refill
    await asyncio.sleep(0.6)
    unused = 1504 - 10
    assert limiter.state().tokens_left == 500 - 1504 + 1000 + unused
    stream.dispose()


@pytest.mark.parametrize(
    ("most", "share"), [(100, 0.95), (1000, 0.6)], ids=["exact", "ten times too much"]
)
async def test_no_minute_has_more_tokens_than_limit(most: int, share: float) -> None:
    limiter, sent = Limiter(tokens_per_minute=60_000), list[float]()
    llm = ScriptedLLM(Reply("Hello", delay=3, usage=Usage(5, 95, 100)), limiter=limiter)

    async def ask() -> None:
        await llm.chat("Hi", max_tokens=most - 5)
        sent.append(time() - 3)

    count = size(1500, quick=800)  # 80 seconds' worth
    await asyncio.gather(*(ask() for _ in range(count)))
    assert (count - 1) * 100 / (sent[-1] - sent[0]) >= share * 1000
    assert max(sum(at <= other < at + 60 for other in sent) for at in sent[::50]) <= 600


async def test_tools_and_sub_agents_wait_for_limiter_of_run() -> None:
    limiter = Limiter(requests_per_minute=61, fair_by=lambda request: request.context)
    inner = FunctionAgent(ScriptedLLM("Inner"))
    call = ToolCall("1", "ask", '{"task": "x"}')
    outer = FunctionAgent(
        ScriptedLLM(Reply(tool_calls=[call]), "Outer"), tools=[inner.as_tool("ask", "Asks.")]
    )
    run = asyncio.ensure_future(outer.run("Hi", limiter=limiter, context="Ann"))
    await asyncio.sleep(0.5)
    assert limiter.state().waiting == {"Ann": 1}
    result = await run
    assert result.output == "Outer"
    assert time() == pytest.approx(2.0, abs=0.01)


async def test_two_limiters_in_any_order_do_not_block() -> None:
    one, other = Limiter(concurrent=1), Limiter(concurrent=1)
    agents = [
        FunctionAgent(ScriptedLLM(Reply("Hello", delay=1), limiter=first), limiter=second)
        for first, second in [(one, other), (other, one)] * 5
    ]
    async with asyncio.timeout(60):
        await asyncio.gather(*(agent.run("Hi") for agent in agents))
    assert time() == pytest.approx(10, abs=0.1)


class Shared(Limiter):
    """A limiter that several processes share by its name."""

    def __init__(self, name: str, asked: list[str]) -> None:
        super().__init__()
        self.name = name
        self._asked = asked

    async def acquire(self, request: LimitedRequest) -> Any:
        self._asked.append(self.name)
        return await super().acquire(request)


async def test_shared_limiters_are_asked_by_name() -> None:
    """In the same order in each process, so that no two processes wait for each other."""
    asked: list[str] = []
    shared = [Shared(name, asked) for name in "cab"]
    agent = FunctionAgent(ScriptedLLM("Hello", limiter=shared[0]), limiter=shared[1])
    await agent.run("Hi", limiter=shared[2])
    assert asked == ["a", "b", "c"]


def test_limiter_serves_one_loop_after_another() -> None:
    limiter = Limiter(requests_per_minute=6000)
    llm = ScriptedLLM("Hello", limiter=limiter)
    for _ in range(3):
        rxagents.run(llm.chat_stream("Hi"))
    limiter.change(concurrent=1)
    assert limiter.state().in_flight == 0
    rxagents.run(llm.chat_stream("Hi"))


@pytest.mark.real_time
async def test_loop_of_another_thread_is_refused_while_in_use() -> None:
    limiter = Limiter(concurrent=2)
    llm = ScriptedLLM("Hello", limiter=limiter)
    permit = await limiter.acquire(REQUEST)
    with pytest.raises(ConfigurationError, match="event loop of another thread"):
        await asyncio.to_thread(rxagents.run, llm.chat_stream("Hi"))
    permit.settle(None)
    await asyncio.to_thread(rxagents.run, llm.chat_stream("Hi"))
    assert (await llm.chat("Hi")).content == "Hello"


async def test_failing_key_function_fails_stream() -> None:
    def fail(_: LimitedRequest) -> str:
        raise KeyError("user")

    with pytest.raises(KeyError):
        await ScriptedLLM("Hello", limiter=Limiter(fair_by=fail)).chat("Hi")
    with pytest.raises(ConfigurationError, match="hashable"):
        await ScriptedLLM("Hello", limiter=Limiter(fair_by=lambda _: [])).chat("Hi")  # type: ignore[arg-type, return-value]  # a list


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limiter(requests_per_minute=0),
        lambda: Limiter(tokens_per_minute=1.5),  # type: ignore[arg-type]  # a wrong type
        lambda: Limiter(burst=-1),
        lambda: Limiter(fair_by="user"),  # type: ignore[arg-type]  # a wrong type
        lambda: ScriptedLLM("Hello", limiter=60),  # type: ignore[arg-type]  # a wrong type
        lambda: rxagents.OpenAI("m", api_key="k", limiter=Limiter),  # type: ignore[arg-type]  # a class
    ],
    ids=["zero", "fraction", "burst", "key", "number", "class"],
)
def test_wrong_argument_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


async def test_share_of_keys_is_even() -> None:
    limiter = Limiter(requests_per_minute=600, fair_by=lambda request: request.context)
    served: Counter[int] = Counter()

    async def keep_sending(user: int) -> None:
        while True:
            (await limiter.acquire(LimitedRequest("openai", "gpt", 1, 0, user))).settle(1)
            served[user] += 1

    tasks = [asyncio.ensure_future(keep_sending(user)) for user in (1, 1, 1, 1, 1, 2, 3)]
    await asyncio.sleep(60)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert max(served.values()) - min(served.values()) <= 6
