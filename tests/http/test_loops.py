"""Streams, tools and clean-up on uvloop, and with eager tasks."""

from __future__ import annotations

import asyncio
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

import pytest
import trustme
from faults import LAST, chunk, head
from faulty_server import Act, Cue, FaultyServer
from running import run_async
from wires import WIRES

import rxagents
from rxagents import ToolCall
from rxagents.testing import Reply, ScriptedServer

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]

WIRE = WIRES[0]
HEAD = head(200, b"content-type: " + WIRE.content_type, b"transfer-encoding: chunked")
END = chunk(WIRE.finish()) + chunk(WIRE.done()) + LAST

MANY = 20_000
"""More events than the buffers between a server and a reader that stops can hold."""


def eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]  # of 3.12
    return loop


@pytest.fixture(params=["uvloop", "eager tasks"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on the loop, and fail if it leaves a task or a socket."""
    if request.param == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for this platform")
        return partial(run_async, loop_factory=uvloop.new_event_loop)
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks need Python 3.12")
    return partial(run_async, loop_factory=eager_loop)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_text_arrives_in_any_packets(
    run: Run, tls: bool, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    large = chunk(WIRE.text("b" * 300_000))
    act: Act = [HEAD, Cue.PAUSE, chunk(WIRE.text("a")), Cue.PAUSE, large[:9], large[9:], END]

    async def chat_twice() -> None:
        async with FaultyServer(act, tls=context) as server, WIRE.model(server.url) as llm:
            for _ in range(2):
                assert (await llm.chat("hi")).content == "a" + "b" * 300_000
            assert server.accepted == 1

    run(chat_twice())


def test_dispose_closes_the_connection(run: Run) -> None:
    async def dispose() -> None:
        act: Act = [HEAD, chunk(WIRE.text("a")), Cue.STALL]
        async with FaultyServer(act) as server, WIRE.model(server.url) as llm:
            texts: asyncio.Queue[str] = asyncio.Queue()
            stream = llm.chat_stream("hi")
            subscription = stream.subscribe(lambda chunk: texts.put_nowait(chunk.delta))
            assert texts.empty()
            assert not server.requests
            assert await texts.get() == "a"
            subscription.dispose()
            await server.all_left()
            assert texts.empty()

    run(dispose())


def test_slow_reader_stops_the_server(run: Run) -> None:
    async def read_slowly() -> None:
        stopped = asyncio.Event()
        event = chunk(WIRE.text("x" * 500)) * 10

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            for _ in range(MANY // 10):
                writer.write(event)
                try:
                    await asyncio.wait_for(writer.drain(), 0.2)
                except TimeoutError:
                    stopped.set()
                    await writer.drain()
            assert stopped.is_set(), "the server has sent all that it had"
            writer.write(END)
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, WIRE.model(url) as llm:
            async with rxagents.to_aiter(llm.chat_stream("hi"), capacity=8) as chunks:
                await anext(chunks)
                await stopped.wait()
                assert sum([len(chunk.delta) async for chunk in chunks]) == 500 * (MANY - 1)

    run(read_slowly())


def test_tools_run_on_threads(run: Run) -> None:
    threads: list[threading.Thread] = []

    @rxagents.tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        threads.append(threading.current_thread())
        return a + b

    async def run_agent() -> None:
        script = Reply(tool_calls=[ToolCall("call_1", "add", '{"a": 1, "b": 2}')]), "Done."
        async with ScriptedServer(*script) as server:
            async with rxagents.OpenAI("m", api_key="k", base_url=server.url) as llm:
                result = await rxagents.FunctionAgent(llm, tools=[add]).run("hi")
            assert result.output == "Done."
            assert server.requests[1].json()["messages"][-1]["content"] == "3"
        assert threads != [threading.current_thread()]

    run(run_agent())


def test_timeout_of_an_idle_stream(run: Run) -> None:
    async def wait() -> None:
        act: Act = [HEAD, chunk(WIRE.text("a")), Cue.STALL]
        async with FaultyServer(act) as server:
            async with WIRE.model(server.url, timeout=0.05, max_retries=0) as llm:
                with pytest.raises(rxagents.IdleTimeoutError):
                    await llm.chat("hi")
                await server.all_left()

    run(wait())
