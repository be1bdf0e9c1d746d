"""`kill -9` of a server in the middle of its runs, while readers are cut: another finds them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from child import started
from cutting_proxy import CuttingProxy, cutting_proxy
from event_source import EventSource, random_sizes
from matrix import only_full, size
from redis_server import RedisServer, missing
from serving import Served, serving

from rxagents import EventLog, FunctionAgent, RedisLogStore, SQLiteLogStore
from rxagents.runtime.event_log.log_store import LogStore
from rxagents.testing import ScriptedLLM

pytestmark = pytest.mark.real_time

PROGRAM = """
import asyncio, sys
from rxagents import EventLog, FunctionAgent, RedisLogStore, SQLiteLogStore
from rxagents.serve import make_app, serve
from rxagents.testing import Reply, ScriptedLLM

def make_agent():
    return FunctionAgent(ScriptedLLM(Reply("on and " * 3_000, interval=0.02)))

store = globals()[sys.argv[1]](sys.argv[2])
app = make_app(make_agent, log=EventLog(store))
asyncio.run(serve(app, port=0, on_start=lambda url: print(url, flush=True)))
"""

SECOND = "The second attempt says this, word by word, and then it is over."

LATER = 16
"""Seconds by which the clock of the second server is ahead: it finds all leases lost."""


class Place:
    """Where two servers keep their runs, one after the other."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind = kind
        self.address = address

    def command(self) -> list[str]:
        """Return the command of the first server."""
        return [sys.executable, "-c", PROGRAM, self.kind, self.address]

    def later(self) -> LogStore:
        """Return the store of the second server."""
        stores = {"SQLiteLogStore": SQLiteLogStore, "RedisLogStore": RedisLogStore}
        made: Any = stores[self.kind]
        store: LogStore = made(self.address, clock=lambda: time.time() + LATER)
        return store


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place("SQLiteLogStore", str(tmp_path / "log.db"))
        return
    if reason := missing():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    yield Place("RedisLogStore", server.url)
    server.close()


async def read_while_killed(
    place: Place, proxy: CuttingProxy, runs: int, least: int
) -> tuple[dict[str, EventSource], list[asyncio.Task[None]]]:
    """Start runs at a server, read them through the proxy, and kill the server.

    Returns:
        The readers by the ids of the runs, each with at least `least` events, and their tasks,
        which try to go on.
    """
    readers: dict[str, EventSource] = {}
    with started(place.command(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        proxy.target = (await asyncio.to_thread(process.stdout.readline)).decode().strip()
        async with aiohttp.ClientSession(proxy.target) as client:
            for _ in range(runs):
                async with client.post("/runs", json={"task": "hi"}) as response:
                    run_id = (await response.json())["id"]
                readers[run_id] = EventSource(proxy.url, f"/runs/{run_id}/events")
        tasks = [asyncio.create_task(reader.read()) for reader in readers.values()]
        await asyncio.gather(*[reader.read_on(least) for reader in readers.values()])
        process.kill()
        process.wait()
        process.stdout.close()
    return readers, tasks


async def written(server: Served, run_id: str) -> list[tuple[str, Any]]:
    """Return the ids and events of a run, read at once and not through the proxy."""
    _, text = await server.get(f"/runs/{run_id}/events")
    begin, *frames, end = text.removesuffix("\n\n").split("\n\n")
    assert begin.startswith("retry: ")
    assert end.startswith("event: end\n")
    pairs = []
    for frame in frames:
        *first, data = frame.split("\n")
        entry_id = first[0].removeprefix("id: ") if first else ""
        pairs.append((entry_id, json.loads(data.removeprefix("data: "))))
    return pairs


def received(reader: EventSource, at_end: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the ids and events that a reader has; only an end without an id may come twice."""
    pairs = [(event.id, json.loads(event.data)) for event in reader.events]
    if at_end and not at_end[-1][0]:
        while pairs and is_interruption(pairs[-1][1]):
            pairs.pop()
        pairs.append(at_end[-1])
    return pairs


def is_interruption(event: Any) -> bool:
    return bool(event["type"] == "error" and event["error"]["kind"] == "RunInterruptedError")


def check_ids(pairs: list[tuple[str, Any]], attempt: int) -> None:
    expected = [f"{attempt}-{number}" for number in range(1, len(pairs) + 1)]
    assert [entry_id for entry_id, _ in pairs] == expected


def text_of(pairs: list[tuple[str, Any]]) -> str:
    return "".join(event["content"] for _, event in pairs if event["type"] == "token")


@pytest.mark.parametrize(
    ("place", "rerun"),
    [
        pytest.param("sqlite", True, id="sqlite rerun"),
        pytest.param("sqlite", False, id="sqlite", marks=only_full),
        pytest.param("redis", False, id="redis", marks=only_full),
        pytest.param("redis", True, id="redis rerun", marks=only_full),
    ],
    indirect=["place"],
)
async def test_readers_of_a_killed_server_see_whole_runs(place: Place, rerun: bool) -> None:
    runs, least = size(50, quick=8), size(20, quick=15)
    asyncio.get_running_loop().set_debug(False)  # a connection costs three times as much with it
    async with cutting_proxy("", of=b"/events", after=random_sizes(3000)) as proxy:
        readers, tasks = await read_while_killed(place, proxy, runs, least)
        agent = FunctionAgent(ScriptedLLM(*[SECOND] * runs))
        log = EventLog(place.later())
        async with serving(agent, log=log, rerun=rerun) as server:
            proxy.target = server.url
            await asyncio.gather(*tasks)
            for run_id, reader in readers.items():
                pairs = await written(server, run_id)
                seen = received(reader, pairs)
                ids = [entry_id for entry_id, _ in pairs]
                assert [entry_id for entry_id, _ in seen] == ids, (seen[-3:], pairs[-3:])
                assert seen == pairs
                first = [pair for pair in pairs if pair[0].startswith("1-")]
                rest = pairs[len(first) :]
                check_ids(first, 1)
                assert len(first) >= least
                assert ("on and " * 3_000).startswith(text_of(first))
                if rerun:  # the second attempt is the mark of the first one
                    check_ids(rest, 3)
                    assert (rest[0][1]["type"], rest[0][1]["scope"]) == ("reset", "run")
                    assert text_of(rest) == SECOND
                    assert rest[-1][1]["type"] == "complete"
                else:
                    [(entry_id, failure)] = rest
                    assert entry_id == ""
                    assert is_interruption(failure)
                    assert (await server.post(f"/runs/{run_id}/stop"))[0] == 404
        assert proxy.cuts >= size(50, quick=8), proxy.cuts
