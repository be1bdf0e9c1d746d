"""The operators of time and failure over real HTTP: the server sees abandoned requests close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from observing import Seen
from reactivex import Observable

import rxagents
from rxagents import OpenAI, StreamChunk, Timeouts, to_aiter
from rxagents import operators as ops
from rxagents.testing import Ending, NoReply, RawReply, Reply, ScriptedServer, StatusReply

SOON = 0.05
STALLED = RawReply([], ending=Ending.STALL)
"""Sends headers, and then nothing."""
SILENT = Reply("one two three", ending=Ending.STALL, cut_after=3)
CUT = Reply("one two three", ending=Ending.RESET, cut_after=3)
BUSY = StatusReply(503, {"error": {"message": "busy"}})
ENDLESS = Reply("word " * 10_000, interval=0.005)


class Host:
    """A server, and a model that requests it without retries."""

    def __init__(self, server: ScriptedServer, llm: OpenAI) -> None:
        self.server = server
        self.llm = llm

    def stream(self) -> Observable[StreamChunk]:
        return self.llm.chat_stream("hi")

    async def is_left_with(self, *, requests: int, closed: int) -> None:
        """Check that `requests` came, and that the client closed `closed` of them early."""
        await asyncio.wait_for(self.server.disconnected(closed), 5)
        assert len(self.server.requests) == requests
        assert self.server.disconnects == closed


@asynccontextmanager
async def host(*replies: Any) -> AsyncIterator[Host]:
    async with ScriptedServer(*replies) as server:
        timeout = Timeouts(connect=5, first=20, idle=20)
        async with OpenAI("m", base_url=server.url, timeout=timeout, max_retries=0) as llm:
            yield Host(server, llm)
        await asyncio.wait_for(server.connections_closed(), 5)


async def text_of(stream: Observable[StreamChunk]) -> str:
    async with to_aiter(stream.pipe(ops.collect())) as answers:
        return str((await anext(answers)).content)


# hedge


@pytest.mark.parametrize(
    "stuck",
    [NoReply(Ending.STALL), STALLED, Reply("", cut_after=1, ending=Ending.COMMENTS)],
    ids=["no reply", "headers only", "comments"],
)
async def test_hedge_closes_losing_first_request(stuck: Any) -> None:
    async with host(stuck, "Hello there") as one:
        stream = one.stream().pipe(ops.hedge(one.stream(), after=SOON))
        assert await text_of(stream) == "Hello there"
        await one.is_left_with(requests=2, closed=1)


async def test_hedge_closes_losing_second_request() -> None:
    async with host(Reply("Hello there", delay=4 * SOON)) as one, host(STALLED) as two:
        stream = one.stream().pipe(ops.hedge(two.stream(), after=SOON))
        assert await text_of(stream) == "Hello there"
        await two.is_left_with(requests=1, closed=1)
        await one.is_left_with(requests=1, closed=0)


async def test_hedge_sends_one_request_when_quick() -> None:
    async with host("Hello there") as one:
        stream = one.stream().pipe(ops.hedge(one.stream(), after=20))
        assert await text_of(stream) == "Hello there"
        await one.is_left_with(requests=1, closed=0)


async def test_hedge_starts_at_once_after_failure() -> None:
    async with host(BUSY, "Hello there") as one:
        stream = one.stream().pipe(ops.hedge(one.stream(), after=25))
        assert await text_of(stream) == "Hello there"
        await one.is_left_with(requests=2, closed=0)


async def test_hedge_dispose_closes_both_requests() -> None:
    async with host(STALLED) as one:
        seen = Seen(one.stream().pipe(ops.hedge(one.stream(), after=0)))
        await one.server.received(2)
        seen.subscription.dispose()
        await one.is_left_with(requests=2, closed=2)
        assert seen.notes == []


# fallback_to


@pytest.mark.parametrize("reply", [BUSY, NoReply(), RawReply([b"<html>"], "text/html")])
async def test_fallback_to_requests_another_host(reply: Any) -> None:
    async with host(reply) as one, host("Hello there") as two:
        stream = one.stream().pipe(ops.fallback_to(two.stream()))
        assert await text_of(stream) == "Hello there"
        await two.is_left_with(requests=1, closed=0)
        assert one.server.requests


async def test_fallback_to_closes_request_after_timeout() -> None:
    async with host(STALLED) as one, host("Hello there") as two:
        first = one.stream().pipe(ops.timeout_first(SOON))
        assert await text_of(first.pipe(ops.fallback_to(two.stream()))) == "Hello there"
        await one.is_left_with(requests=1, closed=1)


async def test_fallback_to_resets_after_cut() -> None:
    async with host(CUT) as one, host("Hello there") as two:
        operator = ops.fallback_to(two.stream(), on_reset=StreamChunk.reset)
        seen = Seen(one.stream().pipe(operator))
        await seen.over.wait()
        kinds = ["reset" in chunk.metadata for chunk in seen.notes[:-1]]
        assert kinds.count(True) == 1
        before = seen.notes[: kinds.index(True)]
        after = seen.notes[kinds.index(True) + 1 : -1]
        assert "".join(chunk.delta for chunk in before) == "one two"
        assert after[-1].content == "Hello there"
        assert seen.notes[kinds.index(True)].metadata["reset"].kind == "TruncatedStreamError"


# retry_with_backoff


async def test_retry_with_backoff_repeats_failed_request() -> None:
    async with host(BUSY, BUSY, "Hello there") as one:
        stream = one.stream().pipe(ops.retry_with_backoff(first_wait=0.01))
        assert await text_of(stream) == "Hello there"
        await one.is_left_with(requests=3, closed=0)


async def test_retry_with_backoff_respects_retry_after() -> None:
    wait = StatusReply(429, "slow", headers={"retry-after-ms": "80"})
    async with host(wait, "Hello there") as one:
        loop = asyncio.get_running_loop()
        start = loop.time()
        stream = one.stream().pipe(ops.retry_with_backoff(first_wait=20, longest_wait=20))
        assert await text_of(stream) == "Hello there"
        assert 0.08 <= loop.time() - start < 10


async def test_retry_with_backoff_resets_after_cut() -> None:
    async with host(CUT, CUT, "Hello there") as one:
        operator = ops.retry_with_backoff(on_reset=StreamChunk.reset, first_wait=0.01)
        assert await text_of(one.stream().pipe(operator)) == "Hello there"
        assert len(one.server.requests) == 3


async def test_retry_with_backoff_needs_reset_after_text() -> None:
    async with host(CUT, "Hello there") as one:
        seen = Seen(one.stream().pipe(ops.retry_with_backoff(first_wait=0.01)))
        await seen.over.wait()
        *chunks, error = seen.notes
        assert "".join(chunk.delta for chunk in chunks) == "one two"
        assert isinstance(error, rxagents.TruncatedStreamError)
        assert len(one.server.requests) == 1


async def test_dispose_during_backoff_sends_nothing() -> None:
    async with host(BUSY) as one:
        waits = asyncio.Event()

        def ask(_: Exception) -> bool:
            waits.set()
            return True

        stream = one.stream().pipe(ops.retry_with_backoff(first_wait=SOON, jitter=0, retry_if=ask))
        seen = Seen(stream)
        await waits.wait()
        seen.subscription.dispose()
        assert not [t for t in _timers() if t.when() - asyncio.get_running_loop().time() < 1]
        await one.is_left_with(requests=1, closed=0)


def _timers() -> list[asyncio.TimerHandle]:
    loop: Any = asyncio.get_running_loop()
    return [timer for timer in loop._scheduled if not timer.cancelled()]


# timeout_*


@pytest.mark.parametrize(
    ("reply", "operator", "error", "text"),
    [
        (STALLED, ops.timeout_first(SOON), rxagents.FirstEventTimeoutError, ""),
        (NoReply(Ending.STALL), ops.timeout_first(SOON), rxagents.FirstEventTimeoutError, ""),
        (SILENT, ops.timeout_idle(SOON), rxagents.IdleTimeoutError, "one two"),
        (SILENT, ops.timeout_total(4 * SOON), rxagents.TotalTimeoutError, "one two"),
        (ENDLESS, ops.timeout_total(4 * SOON), rxagents.TotalTimeoutError, None),
    ],
)
async def test_operator_timeout_closes_the_request(
    reply: Any,
    operator: Callable[[Observable[StreamChunk]], Observable[StreamChunk]],
    error: type[Exception],
    text: str | None,
) -> None:
    async with host(reply) as one:
        seen = Seen(one.stream().pipe(operator))
        await seen.over.wait()
        *chunks, last = seen.notes
        assert type(last) is error
        got = "".join(chunk.delta for chunk in chunks)
        assert got == text if text is not None else got.startswith("word word")
        await one.is_left_with(requests=1, closed=1)


async def test_slow_reader_does_not_expire_timeout_idle() -> None:
    async with host(Reply("word " * 3000)) as one:
        stream = one.stream().pipe(ops.timeout_idle(SOON))
        async with to_aiter(stream, capacity=4) as chunks:
            await anext(chunks)
            await asyncio.sleep(4 * SOON)
            rest = [chunk async for chunk in chunks]
        assert rest[-1].content == "word " * 3000


async def test_retry_closes_the_silent_attempt() -> None:
    async with host(SILENT, "Hello there") as one:
        stream = one.stream().pipe(
            ops.timeout_idle(SOON),
            ops.retry_with_backoff(on_reset=StreamChunk.reset, first_wait=0.01),
        )
        assert await text_of(stream) == "Hello there"
        await one.is_left_with(requests=2, closed=1)


# share_bounded


async def test_share_bounded_closes_with_last_subscriber() -> None:
    async with host(ENDLESS) as one:
        shared = one.stream().pipe(ops.share_bounded())
        async with to_aiter(shared) as first, to_aiter(shared) as second:
            a = [(await anext(first)).index for _ in range(5)]
            b = [(await anext(second)).index for _ in range(5)]
            assert a == b == list(range(5))
            assert one.server.disconnects == 0
        await one.is_left_with(requests=1, closed=1)


async def test_share_bounded_over_hedge_sends_two() -> None:
    async with host(STALLED, "Hello there") as one:
        shared = one.stream().pipe(ops.hedge(one.stream(), after=SOON), ops.share_bounded())
        assert await asyncio.gather(*[text_of(shared) for _ in range(3)]) == ["Hello there"] * 3
        await one.is_left_with(requests=2, closed=1)


# A consumer that raises.


async def test_consumer_exception_is_never_retried(
    loop_errors: list[Exception],
) -> None:
    def broken(_: StreamChunk) -> None:
        raise KeyError("mine")

    async with host(ENDLESS) as one:
        stream = one.stream().pipe(
            ops.timeout_first(5),
            ops.timeout_idle(5),
            ops.timeout_total(20),
            ops.retry_with_backoff(on_reset=StreamChunk.reset, retry_if=lambda _: True),
            ops.fallback_to(one.stream(), on_reset=StreamChunk.reset),
            ops.hedge(one.stream(), after=20),
        )
        ends: list[Any] = []
        stream.subscribe(broken, ends.append, lambda: ends.append("end"))
        await one.is_left_with(requests=1, closed=1)
        assert ends == []
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()
