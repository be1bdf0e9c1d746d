"""Runs of `run_many` in a log, whose worker or program is lost at one write after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
import reactivex as rx
import worker_agents
from local_workers import LocalWorkers
from log_stores import Clock
from matrix import size
from observing import Seen
from watched_store import WatchedStore, die
from worker_agents import make_stepping

from rxagents import (
    Complete,
    EventLog,
    MemoryLogStore,
    Reset,
    RunReport,
    ToolEnd,
    from_log,
    run_many,
)
from rxagents.runtime.event_log.log_store import LEASE_SECONDS

TASKS = {f"run-{name}": f"task {name}" for name in "abc"}


class Program:
    """A program with workers, and a log.

    Args:
        store: The store of the log.
    """

    def __init__(self, store: Any) -> None:
        self.workers = LocalWorkers(2)
        self.reports: list[RunReport] = []
        self._log = EventLog(store)

    def lose_worker(self) -> None:
        """Lose one worker."""
        if not any(link.is_lost for link in self.workers.links):
            busy = max(self.workers.links, key=lambda link: link.events_sent)
            asyncio.get_running_loop().call_soon(busy.lose)

    async def run(self, tasks: dict[str, str] = TASKS) -> None:
        """Run all tasks."""
        runs = run_many(
            make_stepping,
            tasks,
            concurrency=3,
            engine=self.workers,
            log=self._log,
            report=self.reports.append,
        )
        seen = Seen(runs)
        await seen.over.wait()
        assert seen.error is None
        await self._log.aclose()


async def test_other_task_under_same_key_starts_anew() -> None:
    clock = Clock()
    store = MemoryLogStore(clock=clock)
    watched = WatchedStore(store, 60)
    await Program(watched).run()
    clock.now += LEASE_SECONDS + 1
    other = {key: f"another {task}" for key, task in TASKS.items()}
    await Program(store).run(other)
    async with EventLog(store) as log:
        for key, task in other.items():
            seen = Seen(from_log(log, key))
            await seen.over.wait()
            events = [entry.item for entry in seen.items]
            assert events[-1].content == f"The answer of {task} is whole."
            assert [each.scope for each in events if isinstance(each, Reset)] == ["run"]


async def test_new_program_waits_for_leases_of_killed_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    store = MemoryLogStore(clock=loop.time)
    watched = WatchedStore(store, 60)
    await Program(watched).run()
    start = loop.time()
    again = Program(store)
    await again.run()
    assert {report.error for report in again.reports} == {None}
    assert loop.time() - start > LEASE_SECONDS - 1
    await check_log(store)
    assert caplog.text.count("run_many waits up to 15 s for the leases") == 1


async def test_run_of_living_program_fails_alone() -> None:
    loop = asyncio.get_running_loop()
    store = MemoryLogStore(clock=loop.time)
    async with EventLog(store) as log:
        log.start("run-a", rx.never())
        start = loop.time()
        program = Program(store)
        await program.run()
        errors = {report.key: report.error and report.error.kind for report in program.reports}
        assert errors == {"run-a": "LeaseError", "run-b": None, "run-c": None}
        assert loop.time() - start < 2 * LEASE_SECONDS


async def check_log(store: MemoryLogStore) -> None:
    """Check that each run has its whole answer, and that no call has two ends that count."""
    async with EventLog(store) as log:
        for key, task in TASKS.items():
            seen = Seen(from_log(log, key))
            await seen.over.wait()
            events = [entry.item for entry in seen.items]
            assert isinstance(events[-1], Complete)
            assert events[-1].content == f"The answer of {task} is whole."
            last = max((n for n, each in enumerate(events) if isinstance(each, Reset)), default=-1)
            ends = Counter(each.call_id for each in events[last:] if isinstance(each, ToolEnd))
            assert set(ends.values()) <= {1}


@pytest.mark.parametrize("lost", ["worker", "program"])
async def test_tools_run_once_whichever_write_comes_last(lost: str) -> None:
    number, is_reached, attempts = 1, True, 0
    while is_reached:
        worker_agents.CALLS.clear()
        clock = Clock()
        store = MemoryLogStore(clock=clock)
        watched = WatchedStore(store, number)
        program = Program(watched)
        watched.act = program.lose_worker if lost == "worker" else die
        await program.run()
        is_reached = watched.has_acted
        attempts += sum(report.attempts > 1 for report in program.reports)
        if lost == "program":
            clock.now += LEASE_SECONDS + 1
            await Program(store).run()
        await check_log(store)
        assert set(Counter(worker_agents.CALLS).values()) <= {1}
        number += size(5, quick=17)
    assert number > 100
    assert (attempts > 0) == (lost == "worker")
