"""Run agents whose subscriber gives a scheduler of reactivex."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import abc
from reactivex.scheduler import (
    CurrentThreadScheduler,
    EventLoopScheduler,
    ImmediateScheduler,
    NewThreadScheduler,
    ThreadPoolScheduler,
    TimeoutScheduler,
    TrampolineScheduler,
)
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler

from rxagents import Complete, FunctionAgent, ToolCall
from rxagents.testing import Reply, ScriptedLLM

KINDS: list[Callable[[], abc.SchedulerBase]] = [
    CurrentThreadScheduler,
    EventLoopScheduler,
    ImmediateScheduler,
    NewThreadScheduler,
    ThreadPoolScheduler,
    TimeoutScheduler,
    TrampolineScheduler,
    lambda: AsyncIOScheduler(asyncio.get_running_loop()),
    lambda: AsyncIOThreadSafeScheduler(asyncio.get_running_loop()),
]
NAMES = ["current", "event loop", "immediate", "new thread", "pool", "timeout", "trampoline",
         "asyncio", "asyncio safe"]  # fmt: skip


def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize("make", KINDS, ids=NAMES)
async def test_run_works_with_any_scheduler(make: Callable[[], abc.SchedulerBase]) -> None:
    call = ToolCall("call_1", "add", '{"a": 1, "b": 2}')
    llm = ScriptedLLM(Reply(tool_calls=[call]), Reply("three", interval=0.001))
    scheduler = make()
    items: list[Any] = []
    threads: set[int] = set()
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_next(item: Any) -> None:
        items.append(item)
        threads.add(threading.get_ident())

    FunctionAgent(llm, [add]).run_stream("1 + 2?").subscribe(
        on_next, over.set_exception, lambda: over.set_result(None), scheduler=scheduler
    )
    assert not items
    async with asyncio.timeout(5):
        await over
    assert isinstance(items[-1], Complete)
    assert items[-1].content == "three"
    assert threads == {threading.get_ident()}
    if isinstance(scheduler, EventLoopScheduler):
        scheduler.dispose()
    if isinstance(scheduler, ThreadPoolScheduler):
        scheduler.executor.shutdown()
