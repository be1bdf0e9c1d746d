"""The end of a loop: what it closes, and what does not delay it."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex as rx

import rxagents
from rxagents import OpenAI, Timeouts
from rxagents.runtime.per_loop import PerLoop
from rxagents.testing import Ending, RawReply, ScriptedServer
from rxagents.tools.http_request import http_request_tool


class Lookups:
    """Name lookups that hang.

    Attributes:
        ended: How many have ended.
        release: Set it to end them.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.release = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.release.wait(5)
        self.ended += 1
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lookups]:
    hanging = Lookups()
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    yield hanging
    hanging.release.set()


def ask_model() -> None:
    llm = OpenAI(
        "m",
        api_key="sk-0123456789",
        base_url="http://slow.example/v1",
        timeout=Timeouts(connect=0.02),
        max_retries=0,
    )
    with pytest.raises(rxagents.ConnectTimeoutError):
        rxagents.run(llm.chat_stream("hi"))


def leave_early() -> None:
    llm = OpenAI("m", api_key="sk-0123456789", base_url="http://slow.example/v1")
    rxagents.run(rx.amb(llm.chat_stream("hi"), rx.timer(0.02)))


def request_page() -> None:
    request = http_request_tool(timeout=0.02).function
    assert request is not None
    with pytest.raises(rxagents.ToolError, match="did not respond"):
        asyncio.run(request("http://slow.example/"))


@pytest.mark.parametrize("use", [ask_model, leave_early, request_page])
def test_hanging_lookup_does_not_hold_the_loop(use: Callable[[], None], lookups: Lookups) -> None:
    use()
    assert lookups.ended == 0


def event(**choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


UNENDED = RawReply(
    [
        event(delta={"content": "hello"}),
        event(delta={}, finish_reason="stop"),
        b"data: [DONE]\n\n",
    ],
    ending=Ending.STALL,
)


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a server on another thread, whose answers have no end after their end marker."""
    urls: list[str] = []
    is_ready, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with ScriptedServer(UNENDED) as server:
            urls.append(server.url)
            is_ready.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    is_ready.wait()
    yield urls[0]
    is_over.set()
    thread.join()


def test_lingering_answer_ends_with_its_loop(url: str) -> None:
    llm = OpenAI("m", api_key="sk-0123456789", base_url=url)
    loops: list[weakref.ref[Any]] = []

    def note_loop(_: object) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))

    for _ in range(3):
        rxagents.run(llm.chat_stream("hi"), note_loop)
        assert not llm._transport._lingering
    gc.collect()
    assert [loop() for loop in loops] == [None] * len(loops)


async def close(_: object) -> None:
    """Close nothing."""


def test_loops_of_other_threads_may_come_and_go() -> None:
    per_loop = PerLoop(object, close)

    class BusyLoop:
        """A closed loop; while it is looked at, another thread uses another loop."""

        def is_closed(self) -> bool:
            per_loop._held[object()] = None  # type: ignore[index, assignment]  # no loop
            return True

    async def get_twice() -> bool:
        first = per_loop.get()
        return per_loop.get() is first

    per_loop._held[BusyLoop()] = None  # type: ignore[index, assignment]  # no loop
    assert asyncio.run(get_twice())
