"""One client session a loop, which `aclose` or the end of the loop closes."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from aiohttp import ClientSession

import rxagents
from rxagents import OpenAI
from rxagents import operators as ops
from rxagents.testing import Ending, RawReply, ScriptedServer


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[ClientSession]:
    """All sessions made during the test."""
    made: list[ClientSession] = []
    original = ClientSession.__init__

    def init(self: ClientSession, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(ClientSession, "__init__", init)
    return made


async def two_turns() -> None:
    async with ScriptedServer("x") as server:
        llm = OpenAI("m", base_url=server.url)
        await llm.chat("hi")
        await llm.chat("hi")


def test_loop_closes_its_session(sessions: list[ClientSession]) -> None:
    asyncio.run(two_turns())
    assert [session.closed for session in sessions] == [True]


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda llm: pickle.loads(pickle.dumps(llm))],
    ids=["copy", "pickle"],
)
async def test_copy_of_used_model_has_own_session(
    duplicate: Callable[[OpenAI], OpenAI], sessions: list[ClientSession]
) -> None:
    async with ScriptedServer("x") as server, OpenAI("m", base_url=server.url) as llm:
        await llm.chat("hi")
        async with duplicate(llm) as other:
            assert (await other.chat("hi")).content == "x"
        assert [session.closed for session in sessions] == [False, True]


async def test_request_after_aclose_opens_new_session(
    sessions: list[ClientSession],
) -> None:
    async with ScriptedServer("x") as server:
        llm = OpenAI("m", base_url=server.url)
        await llm.aclose()
        for _ in range(2):
            await llm.chat("hi")
            await llm.aclose()
            await llm.aclose()
        assert [session.closed for session in sessions] == [True, True]


def test_run_closes_its_session(sessions: list[ClientSession]) -> None:
    async def ask() -> str:
        async with ScriptedServer("x") as server:
            return (await OpenAI("m", base_url=server.url).chat("hi")).content

    for _ in range(2):
        answer = rx.defer(lambda _: rxagents.from_aiter(lambda: _once(ask())))
        assert rxagents.run(answer) == "x"
    assert [session.closed for session in sessions] == [True, True]


async def _once(work: Any) -> Any:
    yield await work


async def test_collected_model_closes_its_session(sessions: list[ClientSession]) -> None:
    async with ScriptedServer("x") as server:
        stream = OpenAI("m", base_url=server.url).chat_stream("hi").pipe(ops.collect())
        async with rxagents.to_aiter(stream) as responses:
            await anext(responses)
        del stream, responses
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)
        assert sessions[0].closed


def test_model_serves_several_loops(sessions: list[ClientSession]) -> None:
    llm: OpenAI | None = None

    async def turn() -> None:
        nonlocal llm
        async with ScriptedServer("x") as server:
            llm = llm or OpenAI("m", base_url=server.url)
            llm.base_url = llm.base_url.with_port(server.port)
            await llm.chat("hi")

    asyncio.run(turn())
    asyncio.run(turn())
    assert [session.closed for session in sessions] == [True, True]


async def test_aclose_leaves_other_loops_alone() -> None:
    done = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'
    async with ScriptedServer(RawReply([done], ending=Ending.STALL)) as server:
        async with OpenAI("m", base_url=server.url) as llm:
            await llm.chat("hi")  # its connection stays open for a moment
            await asyncio.to_thread(asyncio.run, llm.aclose(), debug=True)
            assert len(server.open_connections) == 1
