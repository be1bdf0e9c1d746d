"""Runs of `run_many` in a log, whose worker or program is lost at one write after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import worker_agents
from local_workers import LocalWorkers
from log_stores import Clock
from matrix import size
from observing import Seen
from worker_agents import make_stepping

from rxagents import (
    Complete,
    EventLog,
    MemoryLogStore,
    Reset,
    RunReport,
    StorageError,
    ToolEnd,
    from_log,
    run_many,
)
from rxagents.runtime.event_log.log_store import LEASE_SECONDS

TASKS = {f"run-{name}": f"task {name}" for name in "abc"}


class WatchedStore:
    """Calls a function before its n-th write and those after it.

    Attributes:
        left: How many writes come before that.
        act: The function.
    """

    def __init__(self, store: MemoryLogStore, writes: int) -> None:
        self._store = store
        self.left = writes
        self.act: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in {"begin", "append", "save", "renew"}:
            return method

        def write(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                self.act()
            return method(*arguments, **named)

        return write


class Program:
    """A program with workers, and a log.

    Args:
        store: The store of the log.
    """

    def __init__(self, store: Any) -> None:
        self.workers = LocalWorkers(2)
        self.reports: list[RunReport] = []
        self._log = EventLog(store)

    def die(self) -> None:
        raise StorageError("The program is dead.")

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
    program = Program(watched)
    watched.act = program.die
    await program.run()
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
        watched.act = program.lose_worker if lost == "worker" else program.die
        await program.run()
        is_reached = watched.left < 0
        attempts += sum(report.attempts > 1 for report in program.reports)
        if lost == "program":
            clock.now += LEASE_SECONDS + 1
            await Program(store).run()
        await check_log(store)
        assert set(Counter(worker_agents.CALLS).values()) <= {1}
        number += size(5, quick=17)
    assert number > 100
    assert (attempts > 0) == (lost == "worker")
