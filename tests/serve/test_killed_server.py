"""`kill -9` of a server in the middle of its runs: another one finds them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from child import started
from matrix import size
from serving import serving

from rxagents import EventLog, FunctionAgent, SQLiteLogStore
from rxagents.testing import ScriptedLLM

pytestmark = pytest.mark.real_time

PROGRAM = """
import asyncio, sys
from rxagents import EventLog, FunctionAgent, SQLiteLogStore
from rxagents.serve import make_app, serve
from rxagents.testing import Reply, ScriptedLLM

def make_agent():
    return FunctionAgent(ScriptedLLM(Reply("on and " * 50_000, interval=0.002)))

app = make_app(make_agent, log=EventLog(SQLiteLogStore(sys.argv[1])))
asyncio.run(serve(app, port=0, on_start=lambda url: print(url, flush=True)))
"""

RETRY = b"retry: 1000\n\n"
"""How a stream of events begins."""

READ = 20
"""How many events of each run are read before the server is killed."""


async def read_some(client: aiohttp.ClientSession, run_id: str) -> list[bytes]:
    """Read the first events of a run, with their ids."""
    async with client.get(f"/runs/{run_id}/events") as response:
        assert await response.content.readuntil(b"\n\n") == RETRY
        return [await response.content.readuntil(b"\n\n") for _ in range(READ)]


async def test_runs_of_a_killed_server_end_as_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    command = [sys.executable, "-c", PROGRAM, str(path)]
    with started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = (await asyncio.to_thread(process.stdout.readline)).decode().strip()
        async with aiohttp.ClientSession(url) as client:
            ids: list[str] = []
            for _ in range(size(50, quick=10)):
                async with client.post("/runs", json={"task": "hi"}) as response:
                    ids.append((await response.json())["id"])
            read = await asyncio.gather(*[read_some(client, run_id) for run_id in ids])
            process.kill()
            process.wait()
        process.stdout.close()

    store = SQLiteLogStore(path, clock=lambda: time.time() + 16)  # it finds all leases lost
    agent = FunctionAgent(ScriptedLLM("never"))
    async with serving(agent, log=EventLog(store)) as server:
        for run_id, events in zip(ids, read, strict=True):
            _, text = await server.get(f"/runs/{run_id}/events")
            text = text.removeprefix(RETRY.decode())
            assert text.startswith(b"".join(events).decode())
            *_, failure, end = text.split("\n\n")[:-1]
            numbers = [line for line in text.split("\n") if line.startswith("id: ")]
            assert numbers == [f"id: 1-{n}" for n in range(1, len(numbers) + 1)]
            assert "RunInterruptedError" in failure
            assert end.startswith("event: end\n")
            last: Any = {"Last-Event-ID": events[-1].split(b"\n")[0].removeprefix(b"id: ").decode()}
            _, rest = await server.get(f"/runs/{run_id}/events", headers=last)
            whole = b"".join(events).decode() + rest.removeprefix(RETRY.decode())
            assert whole.split("\n\n")[:-3] == text.split("\n\n")[:-3]
            assert "RunInterruptedError" in rest
            assert (await server.post(f"/runs/{run_id}/stop"))[0] == 404
