"""Test `cost`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import (
    Cost,
    FunctionAgent,
    Price,
    RunLimitError,
    StreamChunk,
    ToolCall,
    Usage,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

PRICES = {"scripted": Price(input=1, output=2), "Router": Price(input=1, output=2)}
USAGE = Usage(100, 10, 110)
HELLO = Reply("Hello", usage=USAGE)


async def costs_of(stream: Observable[Any]) -> list[Cost]:
    costs: list[Cost] = []
    counted = stream.pipe(ops.cost(costs.append, prices=PRICES), rx_ops.to_list())
    ended = asyncio.get_running_loop().create_future()
    counted.subscribe(on_error=ended.set_result, on_completed=lambda: ended.set_result(None))
    await ended
    await asyncio.sleep(0.01)
    return costs


async def test_each_request_is_reported_as_it_ends() -> None:
    llm = ScriptedLLM(HELLO)
    costs = await costs_of(rx.concat(llm.chat_stream("Hi"), llm.chat_stream("Hi")))
    assert [cost.requests for cost in costs] == [1, 2]
    assert costs[-1] == Cost(2, Usage(200, 20, 220), Decimal("0.00024"))
    assert costs[-1].total_usd == Decimal("0.00024")


async def test_items_stay_as_they_are() -> None:
    found: list[StreamChunk] = []
    llm = ScriptedLLM(HELLO)
    llm.chat_stream("Hi").pipe(ops.cost(lambda _: None, prices=PRICES)).subscribe(found.append)
    await asyncio.sleep(0.01)
    assert "".join(chunk.delta for chunk in found) == "Hello"


async def test_run_counts_turns_and_sub_agents() -> None:
    inner = FunctionAgent(ScriptedLLM(HELLO))
    call = ToolCall("1", "ask", '{"task": "x"}')
    outer = FunctionAgent(
        ScriptedLLM(Reply(tool_calls=[call], usage=USAGE), HELLO),
        tools=[inner.as_tool("ask", "Asks.")],
    )
    assert (await costs_of(outer.run_stream("Hi")))[-1].requests == 3


async def test_steered_run_is_still_counted() -> None:
    """A turn that starts in the code of another task belongs to the run all the same."""
    budget = rxagents.Budget()
    agent = FunctionAgent(ScriptedLLM(Reply("one two three", interval=1), HELLO), budget=budget)
    run = agent.start("Hi")
    run.events.subscribe()
    await asyncio.sleep(1.5)
    run.steer("Stop that.", now=True)
    await run.result
    assert (budget.spent.requests, budget.spent.estimated_requests) == (1, 1)


async def test_run_that_is_handed_over_has_both_budgets() -> None:
    budgets = rxagents.Budget(), rxagents.Budget()
    second = FunctionAgent(ScriptedLLM(HELLO), budget=budgets[1])
    call = ToolCall("1", "transfer", "{}")
    first = FunctionAgent(
        ScriptedLLM(Reply(tool_calls=[call], usage=USAGE)),
        tools=[second.as_handoff("transfer", "Knows more.")],
        budget=budgets[0],
    )
    assert (await first.run("Hi")).output == "Hello"
    assert [budget.spent.requests for budget in budgets] == [2, 1]


async def test_disposed_stream_is_estimated() -> None:
    costs: list[Cost] = []
    llm = ScriptedLLM(Reply("one two three", interval=1, usage=USAGE))
    stream = llm.chat_stream("Hi").pipe(ops.cost(costs.append, prices=PRICES))
    subscription = stream.subscribe()
    await asyncio.sleep(0.5)
    subscription.dispose()
    await asyncio.sleep(0)
    (cost,) = costs
    assert (cost.requests, cost.usage, cost.usd) == (0, None, Decimal(0))
    assert cost.estimated_usage == Usage(5, 1, 6, estimated=True)
    assert cost.estimated_usd == Decimal("0.000007")


async def test_chunk_is_at_least_one_token() -> None:
    budget = rxagents.Budget()
    llm = ScriptedLLM(Reply(["a"] * 50, interval=1), budget=budget)
    subscription = llm.chat_stream("Hi").subscribe()
    await asyncio.sleep(10.5)
    subscription.dispose()
    await asyncio.sleep(0)
    assert budget.spent.estimated_usage == Usage(5, 11, 16, estimated=True)


async def test_used_budget_does_not_wait_for_limiter() -> None:
    budget, limiter = rxagents.Budget(tokens=100), rxagents.Limiter(requests_per_minute=1)
    llm = ScriptedLLM(HELLO, budget=budget, limiter=limiter)
    await llm.chat("Hi")
    with pytest.raises(RunLimitError, match="The budget of 100 tokens is used: 110"):
        await llm.chat("Hi")
    assert asyncio.get_running_loop().time() < 1
    assert limiter.state().in_flight == 0


async def test_budget_used_while_waiting_gives_turn_back() -> None:
    budget, limiter = rxagents.Budget(tokens=100), rxagents.Limiter(concurrent=1)
    llm = ScriptedLLM(Reply("Hello", delay=1, usage=USAGE), budget=budget, limiter=limiter)
    first, second = (asyncio.ensure_future(llm.chat("Hi")) for _ in range(2))
    await first
    with pytest.raises(RunLimitError):
        await second
    assert limiter.state().in_flight == 0
    assert budget.spent.requests == 1


async def test_unknown_price_is_none_and_named() -> None:
    costs: list[Cost] = []
    stream = ScriptedLLM(HELLO).chat_stream("Hi")
    stream.pipe(ops.cost(costs.append, prices={"other": Price(1, 1)})).subscribe()
    await asyncio.sleep(0.01)
    assert costs == [Cost(1, USAGE, None, unpriced=("scripted",))]
    assert costs[0].total_usd is None


async def test_failing_report_leaves_stream_alone(loop_errors: list[Exception]) -> None:
    def fail(_: Cost) -> None:
        raise ValueError("no log")

    found: list[StreamChunk] = []
    llm = ScriptedLLM(HELLO)
    llm.chat_stream("Hi").pipe(ops.cost(fail, prices=PRICES)).subscribe(found.append)
    await asyncio.sleep(0.01)
    assert found
    (error,) = loop_errors
    assert str(error) == "no log"
    loop_errors.clear()


class Router(rxagents.BaseLLM):
    """A model of the user's own, which passes requests on, or answers itself."""

    def __init__(self, llm: ScriptedLLM | None) -> None:
        self.llm = llm

    def chat_stream(self, messages: Any, tools: Any = None, **settings: Any) -> Any:
        if self.llm is not None:
            return self.llm.chat_stream(messages, tools, **settings)
        return rxagents.from_aiter(self.answer)

    async def answer(self) -> AsyncIterator[StreamChunk]:
        await asyncio.sleep(0.1)
        yield StreamChunk("Hello", usage=USAGE, finish_reason="stop")

    async def aclose(self) -> None: ...


async def test_model_of_users_own_is_counted_once() -> None:
    for llm in (Router(None), Router(ScriptedLLM(HELLO))):
        (cost,) = await costs_of(FunctionAgent(llm).run_stream("Hi"))
        assert (cost.requests, cost.usage, cost.usd) == (1, USAGE, Decimal("0.00012"))


async def test_router_waits_once_and_its_tools_wait_too() -> None:
    limiter = rxagents.Limiter(requests_per_minute=61)
    call = ToolCall("1", "ask", '{"task": "x"}')
    inner = FunctionAgent(ScriptedLLM(HELLO))
    router = Router(ScriptedLLM(Reply(tool_calls=[call]), HELLO))
    outer = FunctionAgent(router, tools=[inner.as_tool("ask", "Asks.")])
    await outer.run("Hi", limiter=limiter)
    assert 1.99 < asyncio.get_running_loop().time() < 2.1
    assert limiter.state().in_flight == 0
