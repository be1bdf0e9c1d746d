"""Conversations in a SQLite file, over HTTP: two agents, dispose, failures, `kill -9`."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from child import started
from conversing import ASKS_WEATHER, conversing, said, weather
from observing import Seen
from remembering import exchange
from wires import SpokenWire, any_wire

from rxagents import (
    Answer,
    Complete,
    ConversationalAgent,
    ErrorEvent,
    Memory,
    SQLiteStore,
    StorageError,
)
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time


def texts(exchanges: Any) -> list[str]:
    return [each[0].text for each in exchanges]


class HeldWriter:
    """Holds the thread of a store until `release`."""

    def __init__(self, store: SQLiteStore) -> None:
        self._is_running, self._go_on = threading.Event(), threading.Event()
        store._writer.submit(self._work)
        assert self._is_running.wait(30)

    def _work(self, _: sqlite3.Connection) -> None:
        self._is_running.set()
        assert self._go_on.wait(30)

    def release(self) -> None:
        self._go_on.set()


@any_wire
async def test_conversation_goes_on_in_another_store(wire: SpokenWire, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with SQLiteStore(path) as store:
        memory = Memory(store=store)
        async with conversing(wire, ASKS_WEATHER, "Cold.", memory=memory, tools=[weather]) as it:
            await it.agent.run("Oslo?")
    async with SQLiteStore(path) as store:
        async with conversing(wire, "Yes.", memory=Memory(store=store), tools=[weather]) as it:
            await it.agent.run("Really?")
            assert said(it.last) == ["Oslo?", "cold in Oslo", "Cold.", "Really?"]
            assert texts((await it.agent.memory.conversation("default")).exchanges) == [
                "Oslo?",
                "Really?",
            ]


@any_wire
async def test_summary_is_stored_with_its_run(wire: SpokenWire, tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        memory = Memory("summarize", max_messages=2, store=store)
        async with conversing(wire, "Yes.", "Yes.", "They talked.", "Yes.", memory=memory) as it:
            for each in ("one", "two", "three"):
                await it.agent.run(each)
        kept = await memory.conversation("default")
        assert kept.summary == "They talked."
        assert texts(kept.exchanges) == ["three"]


@any_wire
async def test_complete_comes_after_the_commit(wire: SpokenWire, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    seen: list[int] = []

    def count(event: object) -> None:
        if isinstance(event, Complete):
            with sqlite3.connect(path) as other:
                seen.append(other.execute("SELECT count(*) FROM exchanges").fetchone()[0])
            other.close()

    async with SQLiteStore(path) as store:
        async with conversing(wire, "Yes.", memory=Memory(store=store)) as it:
            run = Seen(it.agent.run_stream("one"), count)
            await run.over.wait()
            assert (run.completed, seen) == (True, [1])


async def test_loop_runs_while_the_store_writes(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
        held: list[HeldWriter] = []

        def hold(event: object) -> None:
            if isinstance(event, Answer):
                held.append(HeldWriter(store))

        run = Seen(agent.run_stream("one"), hold)
        await run.saw(Answer)
        for _ in range(20):
            await asyncio.sleep(0)
        assert run.all(Complete) == []
        held[0].release()
        await run.over.wait()
        assert len(run.all(Complete)) == 1


async def test_dispose_of_waiting_write_stores_nothing(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
        await agent.run("one")
        held: list[HeldWriter] = []

        def hold(event: object) -> None:
            if isinstance(event, Answer):
                held.append(HeldWriter(store))

        run = Seen(agent.run_stream("two"), hold)
        await run.saw(Answer)
        for _ in range(20):
            await asyncio.sleep(0)
        run.subscription.dispose()
        await asyncio.sleep(0)
        held[0].release()
        await agent.run("three")
        assert texts((await store.read("default")).exchanges) == ["one", "three"]
        assert run.all(Complete) == []


@pytest.mark.parametrize("steps", range(0, 40, 3))
async def test_disposed_run_is_stored_whole_or_not(steps: int, tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
        await agent.run("one")
        run = Seen(agent.run_stream("two"))
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        run.subscription.dispose()
        completed = bool(run.all(Complete))
        await agent.run("three")
        read = await store.read("default")
        assert texts(read.exchanges) in (["one", "two", "three"], ["one", "three"])
        assert {len(each) for each in read.exchanges} == {2}
        assert "two" in texts(read.exchanges) or not completed


async def test_failed_write_fails_the_run(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "none" / "a.db")
    agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
    run = Seen(agent.run_stream("one"))
    await run.over.wait()
    assert isinstance(run.error, StorageError)
    [event] = run.all(ErrorEvent)
    assert "a folder that exists" in event.error.message


async def test_unreadable_messages_are_storage_error(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        await store.append("a", exchange("one"), await store.read("a"))
        with sqlite3.connect(tmp_path / "a.db") as other:
            other.execute("UPDATE exchanges SET messages = '[7]'")
        other.close()
        with pytest.raises(StorageError, match="conversation 'a' cannot be read"):
            await store.read("a")
        await store.forget("a")
        assert (await store.read("a")).exchanges == ()


async def test_forgotten_text_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with SQLiteStore(path) as store:
        await store.append("a", exchange("my secret"), await store.read("a"))
        await store.append("b", exchange("other"), await store.read("b"))
        await store.forget("a")
    assert b"secret" not in path.read_bytes()
    assert b"other" in path.read_bytes()


@pytest.mark.parametrize("path", ["", ":memory:", None, 7, b"a.db", "a\0b"])
def test_path_that_names_no_file_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match=r"use rxagents\.MemoryStore\(\)"):
        SQLiteStore(path)


async def test_200_conversations_share_one_file(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
        runs = [agent.run(f"{name} {turn}", str(name)) for turn in range(3) for name in range(200)]
        await asyncio.gather(*runs)
        assert sorted(await store.ids(), key=int) == [str(name) for name in range(200)]
        for name in range(200):
            read = await store.read(str(name))
            assert texts(read.exchanges) == [f"{name} {turn}" for turn in range(3)]


PROGRAM = """
    import asyncio, sys
    from rxagents import ConversationalAgent, Memory, SQLiteStore
    from rxagents.testing import Reply, ScriptedLLM

    async def main(path, name):
        store = SQLiteStore(path)
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))

        async def talk(who):
            for turn in range(TURNS):
                await agent.run(f"{who} {turn}", who)
                print(who, turn, flush=True)

        await asyncio.gather(*(talk(f"{name}{each}") for each in range(4)))
        await store.aclose()

    asyncio.run(main(*sys.argv[1:]))
"""


def command(turns: int, path: Path, name: str) -> list[str]:
    program = textwrap.dedent(PROGRAM).replace("TURNS", str(turns))
    return [sys.executable, "-c", program, str(path), name]


async def test_killed_process_loses_no_finished_run(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    done: dict[str, int] = {}
    with started(command(10**6, path, "k"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            who, turn = line.decode().split()
            done[who] = int(turn)
            if len(done) == 4 and sum(done.values()) > 60:
                process.kill()
                break
        for line in process.stdout:  # those that it had printed before the end
            if line.endswith(b"\n"):
                who, turn = line.decode().split()
                done[who] = int(turn)
    async with SQLiteStore(path) as store:
        for who, last in done.items():
            read = await store.read(who)
            kept = texts(read.exchanges)
            assert kept == [f"{who} {number}" for number in range(len(kept))]
            assert len(kept) in (last + 1, last + 2)  # it may have ended before it was printed
            assert {len(each) for each in read.exchanges} == {2}


async def test_unfinished_run_of_killed_process_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    program = PROGRAM.replace('"Yes."', '"Yes.", Reply("never ends", interval=1000)').replace(
        "TURNS", "2"
    )
    arguments = [sys.executable, "-c", textwrap.dedent(program), str(path), "k"]
    with started(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    async with SQLiteStore(path) as store:
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
        [who, *_] = await store.ids()
        assert texts((await store.read(who)).exchanges) == [f"{who} 0"]
        await agent.run("next", who)
        assert texts((await store.read(who)).exchanges) == [f"{who} 0", "next"]


async def test_two_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with started(command(20, path, "x"), stdout=subprocess.DEVNULL) as one:
        with started(command(20, path, "y"), stdout=subprocess.DEVNULL) as other:
            pass
    assert (one.returncode, other.returncode) == (0, 0)
    async with SQLiteStore(path) as store:
        assert len(await store.ids()) == 8
        for who in await store.ids():
            kept = texts((await store.read(who)).exchanges)
            assert kept == [f"{who} {turn}" for turn in range(20)]


class Later:
    """A store of a user, whose methods are coroutine functions or return awaitables."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            await asyncio.sleep(0)
            return await method(*arguments, **options)

        return call


async def test_store_of_the_user_is_awaited(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as inner:
        store: Any = Later(inner)
        agent = ConversationalAgent(ScriptedLLM("Yes."), memory=Memory(store=store))
        await agent.run("one")
        assert store.calls == ["read", "append"]
        assert texts((await inner.read("default")).exchanges) == ["one"]


async def test_dispose_at_the_read_leaves_no_coroutine(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        agent = ConversationalAgent(ScriptedLLM(Reply("Yes.")), memory=Memory(store=store))
        for steps in range(6):
            run = Seen(agent.run_stream("one"))
            for _ in range(steps):
                await asyncio.sleep(0)
            run.subscription.dispose()
        assert await store.ids() == []
