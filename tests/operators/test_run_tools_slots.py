"""`run_tools`: functions that still run after their call has ended count for the concurrency."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
import reactivex as rx
from msgspec.structs import replace
from observing import Seen
from reactivex.subject import Subject

from rxagents import Reset, Tool, ToolCall, ToolEnd, tool
from rxagents import operators as ops
from rxagents.testing.virtual_time import virtual_loop


def calls(name: str, count: int) -> list[ToolCall]:
    return [ToolCall(f"call_{n}", name, "{}") for n in range(count)]


class Stubborn:
    """Two tools that go on after their timeout, until they are released.

    Attributes:
        most: How many calls ran at a time.
        total: How many calls have started.
        started: Set when the first call has started.
    """

    def __init__(self, timeout: float | None) -> None:
        self.most = self.total = self._running = 0
        self.started = asyncio.Event()
        self._released = threading.Event()
        self._loop = virtual_loop()
        self._lock = threading.Lock()
        self.tools: dict[str, Tool] = {
            name: tool(name=name, timeout=timeout)(function)
            for name, function in {"thread": self._block, "task": self._wait}.items()
        }

    async def run_on(self) -> None:
        """Wait for the first call, and let time pass while it runs."""
        await self.started.wait()
        self._loop.wait_for_threads(False)

    def release(self) -> None:
        """Let all calls return, before any more time passes."""
        self._released.set()
        self._loop.wait_for_threads(True)

    def _enter(self) -> None:
        with self._lock:
            self.total += 1
            self._running += 1
            self.most = max(self.most, self._running)
        self._loop.call_soon_threadsafe(self.started.set)

    def _leave(self) -> str:
        with self._lock:
            self._running -= 1
        return "done"

    def _block(self) -> str:
        self._enter()
        self._released.wait(10)
        return self._leave()

    async def _wait(self) -> str:
        self._enter()
        while not self._released.is_set():
            with contextlib.suppress(asyncio.CancelledError):  # withstands it
                await asyncio.sleep(0.001)
        return self._leave()


async def agree(_: ToolCall) -> bool:
    return True


each_kind = pytest.mark.parametrize("kind", ["thread", "task"])


@each_kind
@pytest.mark.parametrize("requires_approval", [False, True], ids=["at once", "approved"])
async def test_timed_out_function_keeps_its_slot(kind: str, requires_approval: bool) -> None:
    stubborn = Stubborn(timeout=0.02)
    made = replace(stubborn.tools[kind], requires_approval=requires_approval)
    operator = ops.run_tools([made], concurrency=1, approve=agree)
    seen = Seen(rx.from_iterable(calls(kind, 5)).pipe(operator))
    await stubborn.run_on()
    await seen.over.wait()
    ends = seen.all(ToolEnd)
    assert [end.call_id for end in ends] == [call.id for call in calls(kind, 5)]
    assert {end.error.kind for end in ends} == {"ToolTimeoutError"}
    assert ["did not run" in end.result for end in ends] == [False, True, True, True, True]
    assert (stubborn.most, stubborn.total) == (1, 1)
    stubborn.release()
    await asyncio.sleep(0.005)  # the task ends before the loop does


@each_kind
async def test_waiting_call_starts_when_function_ends(kind: str) -> None:
    stubborn = Stubborn(timeout=0.02)
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(ops.run_tools([stubborn.tools[kind]], concurrency=1)))
    first, second = calls(kind, 2)
    source.on_next(first)
    await stubborn.run_on()
    await seen.saw(ToolEnd)
    stubborn.release()
    source.on_next(second)
    source.on_completed()
    await seen.over.wait()
    assert seen.all(ToolEnd)[1].result == "done"
    assert (stubborn.most, stubborn.total) == (1, 2)


@each_kind
async def test_dropped_function_keeps_its_slot(kind: str) -> None:
    stubborn = Stubborn(timeout=None)
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(ops.run_tools([stubborn.tools[kind]], concurrency=1)))
    first, second = calls(kind, 2)
    source.on_next(first)
    await stubborn.run_on()
    source.on_next(Reset.of(OSError()))
    source.on_next(second)
    source.on_completed()
    await asyncio.sleep(0.01)
    assert stubborn.total == 1
    stubborn.release()
    await seen.over.wait()
    assert [end.call_id for end in seen.all(ToolEnd)] == [second.id]
    assert (stubborn.most, stubborn.total) == (1, 2)
