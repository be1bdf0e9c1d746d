"""The timeouts of each phase, over real HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

import rxagents
from rxagents import OpenAI, Timeouts
from rxagents.testing import Ending, RawReply, Reply, ScriptedServer

SHORT = 0.05
COMMENTS = RawReply([b": still here\n\n"] * 1000, interval=0.005)
BYTES = RawReply([b"data: {", b"x"], ending=Ending.ENDLESS)
"""The first event comes byte by byte, and never ends."""
BOMB = RawReply([b"data: {", b" " * 2**14], gzip=True, interval=0.001, ending=Ending.ENDLESS)
"""The first event unpacks to spaces without an end."""


@pytest.mark.parametrize(
    ("reply", "timeouts", "error"),
    [
        (Reply("x", delay=60), Timeouts(first=SHORT), rxagents.FirstEventTimeoutError),
        (COMMENTS, Timeouts(first=SHORT), rxagents.FirstEventTimeoutError),
        pytest.param(
            BYTES,
            Timeouts(first=SHORT),
            rxagents.FirstEventTimeoutError,
            marks=pytest.mark.real_time,
        ),
        (BOMB, Timeouts(first=SHORT), rxagents.FirstEventTimeoutError),
        (
            Reply("one two", ending=Ending.STALL, cut_after=2),
            Timeouts(idle=SHORT),
            rxagents.IdleTimeoutError,
        ),
        (
            Reply("word " * 1000, interval=0.005),
            Timeouts(total=SHORT),
            rxagents.TotalTimeoutError,
        ),
    ],
)
async def test_each_phase_has_its_error(
    reply: Any, timeouts: Timeouts, error: type[Exception]
) -> None:
    async with ScriptedServer(reply) as server:
        async with OpenAI("m", base_url=server.url, timeout=timeouts, max_retries=0) as llm:
            with pytest.raises(error, match=r"[rR]aise Timeouts\."):
                await llm.chat("hi")
            await asyncio.wait_for(server.disconnected(), 5)


async def test_first_event_timeout_is_retried() -> None:
    async with ScriptedServer(Reply("x", delay=60), "second") as server:
        async with OpenAI("m", base_url=server.url, timeout=0.2) as llm:
            assert (await llm.chat("hi")).content == "second"


async def test_first_event_timeout_quotes_beginning() -> None:
    page = RawReply([b"<h1>Log in</h1>"], "text/html", ending=Ending.STALL)
    async with ScriptedServer(page) as server:
        async with OpenAI("m", base_url=server.url, timeout=0.2, max_retries=0) as llm:
            with pytest.raises(rxagents.FirstEventTimeoutError, match="<h1>Log in</h1>"):
                await llm.chat("hi")


async def test_connect_timeout_is_typed() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:  # fill the backlog: further handshakes get no answer
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        limits = Timeouts(connect=SHORT)
        async with OpenAI("m", base_url=url, timeout=limits, max_retries=0) as llm:
            with pytest.raises(rxagents.ConnectTimeoutError, match=r"Timeouts\.connect"):
                await llm.chat("hi")
        for client in waiting:
            client.close()


@pytest.mark.parametrize("own_session", [False, True])
async def test_slow_reader_does_not_expire(own_session: bool) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ScriptedServer(Reply("word " * 3000)))
        session = await stack.enter_async_context(aiohttp.ClientSession()) if own_session else None
        limits = Timeouts(idle=SHORT)
        llm = OpenAI("m", base_url=server.url, timeout=limits, session=session)
        await stack.enter_async_context(llm)
        async with rxagents.to_aiter(llm.chat_stream("hi"), capacity=4) as chunks:
            await anext(chunks)
            await asyncio.sleep(4 * SHORT)
            rest = [chunk async for chunk in chunks]
        assert rest[-1].content == "word " * 2999 + "word "


async def test_blocked_loop_does_not_expire() -> None:
    reply = Reply("word " * 30, interval=0.005)
    limits = Timeouts(idle=SHORT)
    async with ScriptedServer(reply) as server:
        async with OpenAI("m", base_url=server.url, timeout=limits, max_retries=0) as llm:
            async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
                async for chunk in chunks:
                    if chunk.index == 3:
                        time.sleep(4 * SHORT)  # noqa: ASYNC251 - what the test is about
                assert chunk.finish_reason == "stop"


async def test_silence_after_finish_reason_completes() -> None:
    async with ScriptedServer(Reply("x", ending=Ending.STALL)) as server:
        async with OpenAI("m", base_url=server.url, timeout=Timeouts(idle=SHORT)) as llm:
            assert (await llm.chat("hi")).content == "x"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", True])
@pytest.mark.parametrize("phase", ["connect", "first", "idle", "total"])
def test_invalid_timeout_is_refused(phase: str, value: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=phase):
        Timeouts(**{phase: value})


def test_number_sets_first_and_idle() -> None:
    assert Timeouts.of(7) == Timeouts(first=7, idle=7)
    assert OpenAI("m", base_url="http://localhost", timeout=7).timeouts.connect == 5
