"""Runs that end while SQLite writes, or with the process: the conversation is whole."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from child import started
from conversing import ASKS_WEATHER, conversing, said, weather
from observing import Seen, settle
from wires import KEY, SpokenWire, any_wire

from rxagents import Answer, Complete, Memory, SQLiteStore
from rxagents.core.exchange import is_whole
from rxagents.testing import Ending, Reply, ScriptedServer

pytestmark = pytest.mark.real_time

OnStop = Literal["drop", "keep"]
each_on_stop = pytest.mark.parametrize("on_stop", ["drop", "keep"])


class HeldWrite:
    """Holds the next write of a store, inside its transaction or before it, until `release`."""

    def __init__(self, store: SQLiteStore, *, before: bool = False) -> None:
        self._go_on = threading.Event()
        self._is_writing = threading.Event()
        self._submit = store._writer.submit
        self._before = before
        store._writer.submit = self._held  # type: ignore[method-assign]  # to hold what it writes
        self._writer = store._writer

    def _held(self, work: Callable[[Any], Any], *, writes: bool = True) -> Any:
        if not writes:
            return self._submit(work, writes=False)
        self._writer.submit = self._submit  # type: ignore[method-assign]  # stands in for it
        if self._before:
            self._submit(self._wait)
            assert self._is_writing.wait(30)  # else both would be one batch
            return self._submit(work)

        def write(connection: Any) -> Any:
            result = work(connection)
            self._wait(connection)
            return result

        return self._submit(write)

    def _wait(self, _: object) -> None:
        self._is_writing.set()
        assert self._go_on.wait(30)

    async def writing(self) -> None:
        """Wait until the store writes."""
        while not self._is_writing.is_set():
            await settle()

    def release(self) -> None:
        self._go_on.set()


async def stored(store: SQLiteStore) -> list[str]:
    """Return the first message of each exchange; all exchanges are whole."""
    exchanges = (await store.read("default")).exchanges
    assert all(map(is_whole, exchanges))
    return [each[0].text for each in exchanges]


@each_on_stop
@any_wire
async def test_dispose_while_sqlite_writes(
    on_stop: OnStop, wire: SpokenWire, tmp_path: Path
) -> None:
    """A write that has begun is committed, and the exchange is stored once."""
    async with SQLiteStore(tmp_path / "a.db") as store:
        options: dict[str, Any] = {"memory": Memory(store=store), "on_stop": on_stop}
        replies = "Yes.", ASKS_WEATHER, "Cold.", "Yes."
        async with conversing(wire, *replies, tools=[weather], **options) as it:
            await it.agent.run("one")
            held = HeldWrite(store)
            run = Seen(it.agent.run_stream("two"))
            await held.writing()
            run.subscription.dispose()
            held.release()
            await it.agent.run("three")
            assert await stored(store) == ["one", "two", "three"]
            assert said(it.last) == ["one", "Yes.", "two", "cold in Oslo", "Cold.", "three"]
            assert len(run.all(Answer)) == 1
            assert (run.all(Complete), run.completed, run.error) == ([], False, None)


@each_on_stop
@any_wire
async def test_dispose_while_failed_run_is_written(
    on_stop: OnStop, wire: SpokenWire, tmp_path: Path
) -> None:
    """A run without an answer is stored up to its results, once."""
    async with SQLiteStore(tmp_path / "a.db") as store:
        options: dict[str, Any] = {"memory": Memory(store=store), "on_stop": on_stop}
        async with conversing(wire, ASKS_WEATHER, "", "", tools=[weather], **options) as it:
            held = HeldWrite(store)
            run = Seen(it.agent.run_stream("one"))
            await held.writing()
            run.subscription.dispose()
            await settle()
            held.release()
            assert await stored(store) == ["one"]
            assert run.error is None


@each_on_stop
@any_wire
async def test_dispose_while_the_write_waits(
    on_stop: OnStop, wire: SpokenWire, tmp_path: Path
) -> None:
    """A write that has not begun is dropped, unless what the user saw is kept."""
    async with SQLiteStore(tmp_path / "a.db") as store:
        options: dict[str, Any] = {"memory": Memory(store=store), "on_stop": on_stop}
        async with conversing(wire, "Yes.", **options) as it:
            await it.agent.run("one")
            held = HeldWrite(store, before=True)
            run = Seen(it.agent.run_stream("two"))
            await held.writing()
            run.subscription.dispose()
            await settle()
            held.release()
            await it.agent.run("three")
            kept = ["two"] if on_stop == "keep" else []
            assert await stored(store) == ["one", *kept, "three"]


@each_on_stop
@any_wire
async def test_stop_while_sqlite_writes(on_stop: OnStop, wire: SpokenWire, tmp_path: Path) -> None:
    """The run has its answer already, so it completes."""
    async with SQLiteStore(tmp_path / "a.db") as store:
        options: dict[str, Any] = {"memory": Memory(store=store), "on_stop": on_stop}
        async with conversing(wire, "Yes.", **options) as it:
            held = HeldWrite(store)
            run = it.agent.start("one")
            await held.writing()
            run.stop()
            assert not run.steer("two")
            await settle()
            held.release()
            result = await run.result
            assert (result.output, result.finish_reason) == ("Yes.", "stop")
            assert await stored(store) == ["one"]


PROGRAM = """
    import asyncio, sys, threading
    import rxagents
    from rxagents import ConversationalAgent, Memory, SQLiteStore

    @rxagents.tool
    def weather(city: str) -> str:
        "Tell the weather."
        return f"cold in {city}"

    async def main(path, kind, url, key, holds):
        store = SQLiteStore(path)
        llm = getattr(rxagents, kind)("m", base_url=url, api_key=key, max_retries=0)
        agent = ConversationalAgent(llm, [weather], memory=Memory(store=store))
        await agent.run("one")
        submit = store._writer.submit

        def write_and_hang(work, *, writes=True):
            def hang(connection):
                result = work(connection)
                if writes:
                    print("writing", flush=True)
                    threading.Event().wait()
                return result
            return submit(hang, writes=writes)

        if holds == "yes":
            store._writer.submit = write_and_hang
        await agent.run("two")

    asyncio.run(main(*sys.argv[1:]))
"""


def command(path: Path, wire: SpokenWire, server: ScriptedServer, *, holds: bool) -> list[str]:
    url = wire.url_of(server)
    kind = type(wire.model(url)).__name__
    given = [str(path), kind, url, KEY, "yes" if holds else "no"]
    return [sys.executable, "-c", textwrap.dedent(PROGRAM), *given]


@any_wire
async def test_killed_in_the_middle_of_a_turn(wire: SpokenWire, tmp_path: Path) -> None:
    """The tool has run, and the model writes its answer, when the process is killed."""
    path = tmp_path / "a.db"
    endless = Reply("on and on", ending=Ending.ENDLESS, interval=0.01)
    async with ScriptedServer("Yes.", ASKS_WEATHER, endless, strict=True) as server:
        with started(command(path, wire, server, holds=False)) as process:
            await server.received(3)
            process.kill()
            await server.disconnected()
        assert said(server.requests[2]) == ["one", "Yes.", "two", "cold in Oslo"]
    await assert_goes_on(path, wire)


@any_wire
async def test_killed_while_sqlite_writes(wire: SpokenWire, tmp_path: Path) -> None:
    """The exchange is written, and not committed, when the process is killed."""
    path = tmp_path / "a.db"
    async with ScriptedServer("Yes.", ASKS_WEATHER, "Cold.", strict=True) as server:
        arguments = command(path, wire, server, holds=True)
        with started(arguments, stdout=subprocess.PIPE) as process:
            await server.received(3)
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"writing\n"
            process.kill()
    await assert_goes_on(path, wire)


async def assert_goes_on(path: Path, wire: SpokenWire) -> None:
    """Check that the file has the first run only, and that a new process can go on with it."""
    async with SQLiteStore(path) as store:
        assert await stored(store) == ["one"]
        memory = Memory(store=store)
        async with conversing(wire, "Fine.", memory=memory, tools=[weather]) as it:
            await it.agent.run("two")
            assert said(it.last) == ["one", "Yes.", "two"]
        assert await stored(store) == ["one", "two"]
