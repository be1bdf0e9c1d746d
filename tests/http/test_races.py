"""Races and resumed answers over real HTTP: the server sees the losers close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from folding import fold
from observing import Seen
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents import (
    Anthropic,
    Cost,
    Gemini,
    Latencies,
    Message,
    Ollama,
    OpenAI,
    OpenAIResponses,
    Price,
    Response,
    StreamChunk,
    Timeouts,
    Usage,
    first_of,
)
from rxagents import operators as ops
from rxagents.providers.provider import Provider
from rxagents.testing import Ending, RawReply, Reply, ScriptedServer, StatusReply

STALLED = RawReply([], ending=Ending.STALL)
TEXT = "The sky is blue, because air scatters blue light more than red light. "
PRICES = {"m": Price(input=1, output=2), "scripted": Price(input=1, output=2)}


@asynccontextmanager
async def host(
    *replies: Any, kind: Any = OpenAI, strict: bool = False
) -> AsyncIterator[tuple[ScriptedServer, Provider]]:
    async with ScriptedServer(*replies, strict=strict) as server:
        url = server.url if kind in {OpenAI, OpenAIResponses} else f"http://127.0.0.1:{server.port}"
        timeout = Timeouts(connect=5, first=20, idle=20)
        model = kind("m", api_key="any", base_url=url, timeout=timeout, max_retries=0)
        async with model as llm:
            yield server, llm
        await asyncio.wait_for(server.connections_closed(), 5)


async def chunks_of(stream: Observable[StreamChunk]) -> list[StreamChunk]:
    seen = Seen(stream)
    await asyncio.wait_for(seen.over.wait(), 60)
    assert seen.completed, seen.error
    return seen.items


async def losers_are_closed(server: ScriptedServer, *, requests: int, closed: int) -> None:
    await asyncio.wait_for(server.disconnected(closed), 5)
    assert (len(server.requests), server.disconnects) == (requests, closed)


@pytest.mark.parametrize("by", ["content", "sentence"])
async def test_first_of_closes_all_losers(by: Any) -> None:
    slow = Reply("A B C D E. F G", interval=1)
    async with host(STALLED, slow, Reply("Hello there. And", delay=0.1)) as (server, llm):
        stream = first_of(*(llm.chat_stream("hi") for _ in range(3)), by=by)
        assert fold(await chunks_of(stream)).content == "Hello there. And"
        await losers_are_closed(server, requests=3, closed=2)


async def test_losers_are_counted() -> None:
    costs: list[Cost] = []
    usage = Usage(10, 5, 15)
    slow = Reply("A B C D", delay=0.2, interval=1, usage=usage)
    async with host(slow, Reply("Hello", usage=usage)) as (_, llm):
        race = first_of(llm.chat_stream("hi"), llm.chat_stream("hi"))
        await chunks_of(race.pipe(ops.cost(costs.append, prices=PRICES)))
    assert (costs[-1].requests, costs[-1].estimated_requests) == (1, 1)


async def test_enough_of_best_of_closes_the_others() -> None:
    def judge(answers: list[Response]) -> int:
        raise AssertionError(answers)

    async with host(STALLED, Reply("Hello"), STALLED) as (server, llm):
        operator = ops.best_of(3, judge, enough=lambda answer: answer.content == "Hello")
        chunks = await chunks_of(llm.chat_stream("hi").pipe(operator))
        assert fold(chunks).content == "Hello"
        await losers_are_closed(server, requests=3, closed=2)


async def test_dispose_of_best_of_closes_all() -> None:
    async with host(STALLED) as (server, llm):
        seen = Seen(llm.chat_stream("hi").pipe(ops.best_of(4, lambda _: 0)))
        await server.received(4)
        seen.subscription.dispose()
        await losers_are_closed(server, requests=4, closed=4)


def number_of(response: Response) -> int:
    return int(response.content)


async def test_model_as_judge() -> None:
    async with host("Hi", "Hello there", "1") as (server, llm):

        def ask(answers: list[Response]) -> Observable[int]:
            texts = "\n".join(f"{number}: {one.content}" for number, one in enumerate(answers))
            best = llm.chat_stream(f"Which is best? Answer with its number.\n{texts}")
            return best.pipe(ops.collect(), rx_ops.map(number_of))

        chunks = await chunks_of(llm.chat_stream("hi").pipe(ops.best_of(2, ask)))
        assert fold(chunks).content in {"Hi", "Hello there"}
        assert "0: H" in server.requests[2].json()["messages"][0]["content"]


async def test_hedge_by_percentile_closes_the_loser() -> None:
    latencies = Latencies(least=5)
    async with host(*["Hello"] * 5, STALLED, "Hello there") as (server, llm):
        for requests in (1, 2, 3, 4, 5, 7):
            hedged = ops.hedge(llm.chat_stream("hi"), after="p95", latencies=latencies)
            await chunks_of(llm.chat_stream("hi").pipe(hedged))
            assert len(server.requests) == requests
        await losers_are_closed(server, requests=7, closed=1)
    assert len(latencies) == 6


# resume_with


@pytest.mark.parametrize("kind", [Anthropic, Ollama], ids=["Anthropic", "Ollama"])
async def test_prefill_continues_at_every_event(kind: Any) -> None:
    """The server checks that the beginning is one which the API accepts."""
    words = len(TEXT.split())
    for cut in range(1, words + 4):
        is_cut = iter([True])

        def reply(request: Any) -> Any:
            last = request.json()["messages"][-1]
            if next(is_cut, False):  # noqa: B023  # used at once
                return Reply(TEXT, cut_after=cut, ending=Ending.RESET)  # noqa: B023  # used at once
            if last["role"] == "user":
                return Reply(TEXT)
            sent = last["content"]
            sent = sent if isinstance(sent, str) else sent[-1]["text"]
            assert TEXT.startswith(sent)
            return Reply(TEXT[len(sent) :], usage=Usage(3, 4, 7))

        async with host(reply, kind=kind, strict=True) as (server, llm):
            chunks = await chunks_of(llm.chat_stream("Why?").pipe(ops.resume_with(llm, "Why?")))
            if len(server.requests) == 1:
                continue  # the cut came after the end
        assert "".join(chunk.delta for chunk in chunks) == TEXT
        assert chunks[-1].content == TEXT
        assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


REFUSED = StatusReply(400, {"error": {"message": "This model does not support prefill"}})


@pytest.mark.parametrize(
    ("kind", "refuses"),
    [(OpenAI, False), (OpenAIResponses, False), (Gemini, False), (Anthropic, True)],
    ids=["OpenAI", "OpenAIResponses", "Gemini", "Anthropic that refuses prefill"],
)
async def test_instruction_continues_where_there_is_no_prefill(kind: Any, refuses: bool) -> None:
    beginning = "The sky is blue,"
    first = Reply(TEXT, cut_after=6, ending=Ending.RESET)
    last = Reply(beginning + TEXT[len(beginning) :])
    replies = [first, *([REFUSED] if refuses else []), last]
    async with host(*replies, kind=kind, strict=True) as (server, llm):
        chunks = await chunks_of(llm.chat_stream("Why?").pipe(ops.resume_with(llm, "Why?")))
        assert len(server.requests) == len(replies)
        response = fold(chunks)
        assert response.content == TEXT
        # The answer goes back whole, not as the items of the second request.
        history = [Message.user("Why?"), response.message, Message.user("And red?")]
        await chunks_of(llm.chat_stream(history))
        assert TEXT.strip() in server.requests[-1].body.decode()


async def test_resumed_requests_are_counted() -> None:
    costs: list[Cost] = []
    cut = Reply(TEXT, cut_after=6, ending=Ending.RESET)
    async with host(cut, Reply(TEXT, usage=Usage(10, 5, 15))) as (_, llm):
        stream = llm.chat_stream("Why?").pipe(ops.resume_with(llm, "Why?"))
        await chunks_of(stream.pipe(ops.cost(costs.append, prices=PRICES)))
    assert (costs[-1].requests, costs[-1].estimated_requests) == (1, 1)


async def test_dispose_closes_the_resumed_request() -> None:
    cut = Reply(TEXT, cut_after=6, ending=Ending.RESET)
    async with host(cut, STALLED) as (server, llm):
        seen = Seen(llm.chat_stream("Why?").pipe(ops.resume_with(llm, "Why?")))
        await server.received(2)
        seen.subscription.dispose()
        await losers_are_closed(server, requests=2, closed=1)
