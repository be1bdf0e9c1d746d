"""`Limiter` and `Budget` over real HTTP: the server refuses nothing, and its counts are ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from matrix import size
from reactivex import operators as rx_ops

from rxagents import (
    Budget,
    ConfigurationError,
    Cost,
    FunctionAgent,
    Limiter,
    OpenAI,
    Price,
    ProviderError,
    RunLimitError,
    StreamChunk,
    Timeouts,
    Usage,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.testing import Ending, RawReply, Reply, ScriptedServer, StatusReply

PRICES = {"m": Price(input=1, output=2), "scripted": Price(input=1, output=2)}
COUNTED = Usage(10, 5, 15)
WORDS = "one two three four five "
ENDLESS = Reply(WORDS * 2000, interval=0.01, usage=COUNTED)


def time() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def host(*replies: Any, rate: int | None = None, **options: Any) -> AsyncIterator[Any]:
    async with ScriptedServer(*replies, requests_per_minute=rate) as server:
        async with OpenAI("m", api_key="any", base_url=server.url, **options) as llm:
            yield server, llm


async def test_6000_a_minute_for_500_runs_and_200_left() -> None:
    """Nothing is refused, at least 95 % of the limit is used, and what is counted is exact."""
    chance, sent, count = random.Random(7), [], size(500, 100)
    limiter = Limiter(requests_per_minute=6000, fair_by=lambda request: request.context)
    budget = Budget(prices=PRICES)

    def reply(_: object) -> Reply:
        sent.append(time())
        return Reply(WORDS, interval=0.01, usage=COUNTED)

    options: Any = {"limiter": limiter, "budget": budget, "max_retries": 0}
    async with host(reply, rate=6000, **options) as (server, llm):
        agent = FunctionAgent(llm)
        ends: list[str] = []
        runs = [
            agent.run_stream("Hi", context=number % 10).subscribe(
                on_error=lambda error: ends.append(repr(error)),
                on_completed=lambda: ends.append("complete"),
            )
            for number in range(count)
        ]
        for number in chance.sample(range(count), count * 2 // 5):
            delay = chance.uniform(0, count / 100)
            asyncio.get_running_loop().call_later(delay, runs[number].dispose)
        await asyncio.sleep(count / 100 + 1)
        assert server.refusals == 0
        assert set(ends) == {"complete"}
        # The last requests of the line are sent alone; until then it is never empty.
        assert (len(sent) - 1) / (sent[-1] - sent[0]) >= 0.95 * 100
        spent = budget.spent
        # A stream that was disposed between its usage and its end was counted by the provider.
        assert len(ends) <= spent.requests == len(sent) - spent.estimated_requests
        assert spent.usage is not None
        assert spent.usage.total_tokens == 15 * spent.requests
        assert spent.usd == Decimal("0.00002") * spent.requests
        assert server.disconnects == len(sent) - len(ends)
        assert limiter.state().in_flight == 0


async def test_retried_attempt_waits_again_and_retry_after_holds() -> None:
    limiter = Limiter(requests_per_minute=6000)
    refusal = StatusReply(429, {"error": {"message": "slow"}}, {"retry-after": "3"})
    async with host(refusal, "Hello", limiter=limiter) as (server, llm):
        first = asyncio.ensure_future(llm.chat("Hi"))
        await server.received(1)
        await asyncio.sleep(0.1)
        other = asyncio.ensure_future(llm.chat("Hi"))
        await asyncio.sleep(0.1)
        assert limiter.state().waiting == {None: 1}
        assert limiter.state().next_free_in == pytest.approx(2.8, abs=0.1)
        await asyncio.gather(first, other)
        assert time() == pytest.approx(3, abs=0.3)


async def test_headers_of_server_slow_requests() -> None:
    limiter = Limiter(requests_per_minute=6000)
    async with host("Hello", rate=61, limiter=limiter) as (server, llm):
        for _ in range(4):
            await llm.chat("Hi")
        assert server.refusals == 0
        assert time() == pytest.approx(2, abs=0.3)  # the second was in the bucket


async def test_no_timeout_runs_while_request_waits() -> None:
    limiter = Limiter(requests_per_minute=1)
    timeout = Timeouts(connect=1, first=1, idle=1)
    async with host("Hello", limiter=limiter, timeout=timeout) as (_, llm):
        await llm.chat("Hi")
        await llm.chat("Hi")
        assert time() > 60


async def test_budget_of_tokens_ends_streams_in_the_middle() -> None:
    budget = Budget(tokens=200)
    async with host(ENDLESS) as (server, llm):
        agents = [FunctionAgent(llm, budget=budget), FunctionAgent(llm)]
        streams = [agents[0].run_stream("Hi"), agents[1].run_stream("Hi", budget=budget)]
        results = await asyncio.gather(*map(_text_and_error, streams))
        for text, error in results:
            assert isinstance(error, RunLimitError)
            assert "The budget of 200 tokens is used" in str(error)
            assert WORDS.startswith(text[: len(WORDS)])
            assert text
        await server.disconnected(2)
        assert budget.spent.requests == 0
        assert budget.spent.estimated_usage is not None
        assert 200 <= (budget.spent.estimated_usage.total_tokens or 0) <= 203
        with pytest.raises(RunLimitError):
            await llm.chat("Hi") if False else await agents[0].run("Hi")
        assert len(server.requests) == 2


async def test_budget_in_dollars_ends_stream_of_model() -> None:
    budget = Budget(usd="0.0001", prices=PRICES)
    async with host(ENDLESS, budget=budget) as (server, llm):
        text, error = await _text_and_error(llm.chat_stream("Hi"))
        assert "The budget of 0.0001 USD is used" in str(error)
        await server.disconnected(1)
        assert budget.is_reached
        estimated = budget.spent.estimated_usd
        assert estimated is not None
        assert Decimal("0.0001") <= estimated <= Decimal("0.000103")
        # 2 USD for a million tokens of output, about four characters each
        assert len(text) / 4 == pytest.approx(0.0001 / 0.000002, rel=0.2)
        budget.usd = Decimal("0.0002")
        assert not budget.is_reached


async def test_answer_that_is_complete_is_no_failure() -> None:
    """The packet that reaches the limit ends the answer too."""
    budget = Budget(tokens=6)
    choice = '"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]'
    whole = f"data: {{{choice}}}\n\ndata: [DONE]\n\n".encode()
    async with host(RawReply([whole]), budget=budget) as (_, llm):
        assert (await llm.chat("Hi")).content == "Hello"
        assert budget.is_reached
        with pytest.raises(RunLimitError):
            await llm.chat("Hi")


async def test_dollars_without_price_are_refused_before_sending() -> None:
    async with host("Hello", budget=Budget(usd=1, prices={"other": Price(1, 1)})) as (server, llm):
        with pytest.raises(ConfigurationError, match=r"price of 'm' at http://127.*is not known"):
            await llm.chat("Hi")
        assert server.requests == []


async def _text_and_error(stream: Any) -> tuple[str, Exception | None]:
    texts: list[str] = []
    try:
        async with to_aiter(stream) as items:
            async for item in items:
                texts.append(item.delta if isinstance(item, StreamChunk) else item.content)
    except RunLimitError as error:
        return "".join(texts), error
    return "".join(texts), None


async def test_loser_of_hedge_is_estimated() -> None:
    costs: list[Cost] = []
    slow = Reply("late", delay=5, usage=COUNTED)
    async with host(slow, Reply("soon", usage=COUNTED)) as (server, llm):
        stream = llm.chat_stream("Hi").pipe(
            ops.hedge(llm.chat_stream("Hi"), after=1), ops.cost(costs.append, prices=PRICES)
        )
        assert (await _text_and_error(stream))[0] == "soon"
        await server.disconnected(1)
        last = costs[-1]
        assert (last.requests, last.usage, last.usd) == (1, COUNTED, Decimal("0.00002"))
        # "Hi" is one token and the marks around it four: the answer had not begun.
        assert last.estimated_requests == 1
        assert last.estimated_usage is not None
        assert (last.estimated_usage.input_tokens, last.estimated_usage.output_tokens) == (5, 0)
        assert last.estimated_usd == Decimal("0.000005")
        assert last.total_usd == Decimal("0.000025")


async def test_failed_attempts_are_counted_once_begun() -> None:
    costs: list[Cost] = []
    cut = Reply(WORDS, cut_after=3, ending=Ending.RESET)
    refused = StatusReply(503, headers={"retry-after": "0"})
    empty = Reply(cut_after=0, ending=Ending.RESET)
    async with host(refused, empty, cut) as (_, llm):
        stream = llm.chat_stream("Hi").pipe(ops.cost(costs.append, prices=PRICES))
        with pytest.raises(ProviderError):
            await _text_and_error(stream)
    # The 503 is not billed; the cut answers are estimated: 5 tokens in, and what had arrived.
    assert [cost.estimated_requests for cost in costs] == [1, 2]
    used = costs[-1].estimated_usage
    assert used is not None
    assert used.input_tokens == 10
    assert used.output_tokens is not None
    assert 1 <= used.output_tokens <= 4


async def test_reactivex_retry_and_tools_are_inside() -> None:
    costs: list[Cost] = []
    failing = Reply("x", usage=COUNTED, cut_after=1, ending=Ending.RESET)
    async with host(failing, Reply("Hello", usage=COUNTED), max_retries=0) as (_, llm):
        stream = llm.chat_stream("Hi").pipe(rx_ops.retry(2), ops.cost(costs.append, prices=PRICES))
        await _text_and_error(stream)
    assert (costs[-1].requests, costs[-1].estimated_requests) == (1, 1)


async def test_unreachable_host_costs_nothing() -> None:
    costs: list[Cost] = []
    async with OpenAI("m", api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0) as llm:
        with pytest.raises(ProviderError):
            await _text_and_error(llm.chat_stream("Hi").pipe(ops.cost(costs.append, prices=PRICES)))
    assert costs == []


async def test_estimate_of_stopped_streams_is_near_servers_count() -> None:
    """The server counts a token a word; the estimate is one for four characters."""
    chance, budget = random.Random(7), Budget()
    english = "The quick brown fox jumps over a lazy dog, and then it runs into the dark wood. "
    async with host(Reply(english * 20, interval=0.01), budget=budget) as (server, llm):
        received = 0

        def count(_: object) -> None:
            nonlocal received
            received += 1

        streams = [llm.chat_stream("Hi").subscribe(count) for _ in range(20)]
        for stream in streams:
            asyncio.get_running_loop().call_later(chance.uniform(0.1, 3), stream.dispose)
        await server.disconnected(20)
        await asyncio.sleep(0.1)
    used = budget.spent.estimated_usage
    assert budget.spent.estimated_requests == 20
    assert budget.spent.usd == 0
    assert used is not None
    assert used.output_tokens is not None
    assert used.output_tokens / received == pytest.approx(1.2, abs=0.1)
