"""Test many runs in processes of their own; `test_worker_pool` has what needs no process."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from matrix import only_full
from pages import ROOT
from worker_agents import make_mixed

import rxagents
from rxagents import (
    ConfigurationError,
    Reset,
    RunReport,
    StreamEvent,
    processes,
    run_many,
    to_aiter,
)
from rxagents.testing import Reply, ScriptedServer

pytestmark = pytest.mark.real_time


@pytest.mark.skipif("sys.platform == 'win32'")
async def test_processes_run_all_keys() -> None:
    reports: dict[str, RunReport] = {}
    inputs = {f"key {number}": "good" for number in range(20)} | {"bad": "fails"}
    stream = run_many(
        make_mixed,
        inputs,
        concurrency=8,
        engine=processes(2),
        report=lambda report: reports.__setitem__(report.key, report),
    )
    async with to_aiter(stream) as items:
        ends: dict[str, StreamEvent] = {key: event async for key, event in items}
    assert ends.keys() == inputs.keys() == reports.keys()
    error = ends.pop("bad").error
    assert error is not None
    assert isinstance(error.exception(), rxagents.RateLimitError)
    assert {event.content for event in ends.values()} == {"It is warm."}
    assert reports["key 3"].cost.requests == 1


async def test_dispose_closes_connections_of_process() -> None:
    async with ScriptedServer(Reply(["word "] * 1000, interval=0.05)) as server:
        stream = run_many(make_mixed, [{"ask": server.url}] * 3, concurrency=3, engine=processes(1))
        async with to_aiter(stream) as items:
            live: set[str] = set()
            while len(live) < 3:
                key, event = await anext(items)
                if event.type == "token":
                    live.add(key)
            assert len(server.open_connections) == 3
        await server.disconnected(3)
        await server.connections_closed()


@only_full
@pytest.mark.skipif("sys.platform != 'linux'", reason="measures its own memory in /proc")
async def test_run_without_memory_fails_alone() -> None:
    inputs = {"good": "slow", "bad": "gets no memory", "good too": "slow"}
    stream = run_many(make_mixed, inputs, concurrency=3, engine=processes(1))
    async with to_aiter(stream) as items:
        last: dict[str, StreamEvent] = {key: event async for key, event in items}
    errors = {key: event.error.kind for key, event in last.items() if event.error}
    assert errors == {"bad": "MemoryError"}
    assert last.keys() == inputs.keys()


@only_full
@pytest.mark.parametrize("what", ["exits", "is killed"])
async def test_run_that_ends_its_process_fails_alone(what: str) -> None:
    inputs = {"good": "slow", "bad": what}
    stream = run_many(make_mixed, inputs, concurrency=2, engine=processes(1), attempts=2)
    events: dict[str, list[StreamEvent]] = {"good": [], "bad": []}
    async with to_aiter(stream) as items:
        async for key, event in items:
            events[key].append(event)
    error = events["bad"][-1].error
    assert error is not None
    assert error.kind == "RunInterruptedError"
    assert ("exit code 3" if what == "exits" else "SIGKILL") in error.message
    assert [event.content for event in events["good"] if not isinstance(event, Reset)][-3:] == [
        "a", "b", "",
    ]  # fmt: skip


@only_full
async def test_killed_workers_run_each_tool_once() -> None:
    program = ROOT / "benchmarks" / "run_many_crashes.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        "--runs",
        "60",
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDEVMODE": ""},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"60 runs completed" in output


def test_count_of_processes_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="count must be a whole number"):
        processes(0)
