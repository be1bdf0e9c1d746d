"""Scenario: what a turn of an agent costs, and a thousand runs at a time.

A turn: the cost of the loop itself, with a model in process whose turns have one token.

Runs: each asks a model over HTTP, runs its tool, and asks again, all on one loop. The server runs
in a process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any, Unpack

from reactivex import Observable

import rxagents
from benchmarks.run import Run, in_fresh_process
from rxagents import StreamChunk, ToolCall
from rxagents.core.protocols import Messages
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.providers.base_llm import BaseLLM
from rxagents.testing import ReceivedRequest, Reply, ScriptedServer


def agents(run: Run) -> None:
    """Measure turns of one run, and many runs at a time."""
    for turns in (5, 50, 500) if run.quick else (5, 50, 500, 5_000):
        for _ in range(run.rounds):
            cost = in_fresh_process(f"{__name__}:microseconds_a_turn", turns)
            run.add(f"{turns:,} turns of a run", "rxagents ReActAgent", "us a turn", cost)
    count = 200 if run.quick else 1_000
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for _ in range(run.choose_rounds(1, 3)):
            right, kib, cpu = in_fresh_process(f"{__name__}:concurrent_runs", url, count)
            if right < count:
                run.miss("rxagents FunctionAgent", f"{right} of {count} runs were right")
            work = f"{count:,} runs with a tool at a time"
            run.add(work, "rxagents FunctionAgent", "KiB a run", kib)
            run.add(work, "rxagents FunctionAgent", "ms of CPU a run, traced", cpu)
        server.stdin.close()


class OneToken(BaseLLM):
    """A model in process: each turn is one token, and only the last turn answers."""

    def __init__(self, turns: int) -> None:
        self._left = turns

    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        """Answer in the last turn."""

        async def chunks() -> Any:
            self._left -= 1
            yield StreamChunk("hm" if self._left else "Answer: done", finish_reason="stop")

        return rxagents.from_aiter(chunks)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def microseconds_a_turn(turns: int) -> float:
    """Return the CPU time of a turn in a run of `turns` turns."""
    agent = rxagents.ReActAgent(OneToken(turns), max_iterations=turns)
    rxagents.run(rxagents.ReActAgent(OneToken(2)).run_stream("go"))  # imports
    gc.collect()
    start = time.process_time()
    rxagents.run(agent.run_stream("go"))
    return (time.process_time() - start) / turns * 1e6


async def _concurrent_runs(url: str, count: int) -> tuple[int, float, float]:
    """Return how many of `count` runs answered, and the KiB and CPU milliseconds of a run."""

    @rxagents.tool
    async def double(number: int) -> int:
        await asyncio.sleep(0.2)
        return 2 * number

    async with rxagents.OpenAI("agent", api_key="none", base_url=url) as llm:
        agent = rxagents.FunctionAgent(llm, [double])
        await agent.run("0")
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        start = time.process_time()
        results = await asyncio.gather(*(agent.run(str(n)) for n in range(count)))
        spent = time.process_time() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    right = sum(result.output == f"It is {2 * n}." for n, result in enumerate(results))
    return right, (peak - before) / count / 1024, spent / count * 1000


def concurrent_runs(url: str, count: int) -> tuple[int, float, float]:
    """Return what `_concurrent_runs` returns."""
    return asyncio.run(_concurrent_runs(url, count))


def _answer(request: ReceivedRequest) -> Reply:
    last = request.json()["messages"][-1]
    if last["role"] == "tool":
        return Reply(f"It is {last['content']}.")
    return Reply(tool_calls=[ToolCall("call_1", "double", f'{{"number": {last["content"]}}}')])


async def _serve() -> None:
    async with ScriptedServer(_answer) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
