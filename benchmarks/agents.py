"""Measure the cost of a token, of a turn, and of a thousand runs at a time.

    pip install -e '.[benchmarks]'
    python benchmarks/agents.py

A token: our agents and pydantic-ai's `run_stream` read the same answer from the same server. The
server runs in a process of its own; the CPU time of this process is measured. The contenders take
turns, round by round; the table shows medians.

A turn: the cost of the loop itself, with a model in process whose turns have one token.

A thousand runs: each asks a model over HTTP, runs its tool, and asks again, all on one loop.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Unpack

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from reactivex import Observable
from replay_server import replay_server
from rich.console import Console
from rich.table import Table

import rxagents
from rxagents import StreamChunk, Token, ToolCall
from rxagents.core.protocols import Messages
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.providers.base_llm import BaseLLM
from rxagents.testing import ReceivedRequest, Reply, ScriptedServer

Contender: TypeAlias = Callable[[int], Awaitable[int]]
"""Reads an answer with the given number of tokens; returns how many it saw."""


def model(url: str, tokens: int, begin: str = "") -> rxagents.OpenAI:
    """Return a model that answers with `tokens` tokens."""
    headers = {"x-chunks": str(tokens), **({"x-begin": begin} if begin else {})}
    return rxagents.OpenAI("replay", api_key="none", base_url=url, headers=headers)


async def count_tokens(stream: Observable[Any]) -> int:
    """Subscribe with a callback that counts the tokens; return the count."""
    seen = 0
    done = asyncio.get_running_loop().create_future()

    def count(event: object) -> None:
        nonlocal seen
        seen += isinstance(event, Token)

    stream.subscribe(count, done.set_exception, lambda: done.set_result(None))
    await done
    return seen


def function_agent(url: str) -> Contender:
    """Stream a run of a `FunctionAgent`."""

    async def read(tokens: int) -> int:
        async with model(url, tokens) as llm:
            return await count_tokens(rxagents.FunctionAgent(llm).run_stream("go"))

    return read


def react_agent(url: str) -> Contender:
    """Stream a run of a `ReActAgent`."""

    async def read(tokens: int) -> int:
        async with model(url, tokens, "Answer:") as llm:
            return await count_tokens(rxagents.ReActAgent(llm).run_stream("go"))

    return read


def pydantic_ai(url: str) -> Contender:
    """Iterate over the text of pydantic-ai's `run_stream`."""
    provider = OpenAIProvider(base_url=url, api_key="none")
    agent = Agent(OpenAIChatModel("replay", provider=provider))

    async def read(tokens: int) -> int:
        settings: Any = {"extra_headers": {"x-chunks": str(tokens)}}
        seen = 0
        async with agent.run_stream("go", model_settings=settings) as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                seen += 1
        return seen

    return read


async def tokens_of_all(url: str, tokens: int, rounds: int) -> dict[str, list[float]]:
    """Run the contenders in turns; return the microseconds a token of each, by round."""
    contenders = {
        "FunctionAgent": function_agent(url),
        "ReActAgent": react_agent(url),
        "pydantic-ai run_stream": pydantic_ai(url),
    }
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, contender in contenders.items():
            size = max(tokens // 10, 500) if name.startswith("pydantic") else tokens
            gc.collect()
            start = time.process_time()
            seen = await contender(size)
            cost = (time.process_time() - start) / size * 1e6
            if seen < size - 1:
                raise RuntimeError(f"{name}: {seen} of {size} tokens arrived")
            if round_:
                spent[name].append(cost)
    return spent


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
    gc.collect()
    start = time.process_time()
    rxagents.run(agent.run_stream("go"))
    return (time.process_time() - start) / turns * 1e6


async def concurrent_runs(url: str, count: int) -> tuple[int, float, float]:
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


def _answer(request: ReceivedRequest) -> Reply:
    last = request.json()["messages"][-1]
    if last["role"] == "tool":
        return Reply(f"It is {last['content']}.")
    return Reply(tool_calls=[ToolCall("call_1", "double", f'{{"number": {last["content"]}}}')])


async def _serve() -> None:
    async with ScriptedServer(_answer) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def runs_with_their_server(count: int) -> tuple[int, float, float]:
    """Measure `concurrent_runs` with the server in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    try:
        return await concurrent_runs(url, count)
    finally:
        await process.communicate(b"")  # closes its standard input, which ends it


def main() -> None:
    """Measure, print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/agents.json"))
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve())
        return
    with replay_server(16) as url:
        spent = asyncio.run(tokens_of_all(url, arguments.tokens, arguments.rounds))
    framework = spent["pydantic-ai run_stream"]
    table = Table("", "us a token", "pydantic-ai is slower by", title="CPU time a token")
    result: dict[str, Any] = {"tokens": {}, "turns": {}}
    for name, times in spent.items():
        ratio = statistics.median(a / b for a, b in zip(framework, times, strict=True))
        table.add_row(name, f"{statistics.median(times):.2f}", f"{ratio:.1f} x")
        result["tokens"][name] = [round(statistics.median(times), 3), round(ratio, 1)]
    console = Console()
    console.print(table)
    turns = Table("turns of a run", "us a turn", title="CPU time of the loop")
    for count in (5, 50, 500, 5000):
        cost = statistics.median(microseconds_a_turn(count) for _ in range(5))
        turns.add_row(str(count), f"{cost:.0f}")
        result["turns"][count] = round(cost, 1)
    console.print(turns)
    right, kib, milliseconds = asyncio.run(runs_with_their_server(arguments.runs))
    console.print(
        f"{right} of {arguments.runs} runs at a time, each with a tool over two turns: "
        f"{kib:.0f} KiB and {milliseconds:.1f} ms of CPU a run (traced)"
    )
    result["runs"] = {"right": right, "kib": round(kib, 1)}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
