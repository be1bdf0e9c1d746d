"""Scenarios: how long `import rxagents` takes, and how soon a server sees a dispose.

The import is timed in a new process, in turns with one that imports only aiohttp, reactivex and
msgspec. The close is timed from `dispose()`, or from the close of a bare aiohttp response, to the
moment at which the server, in the same process, learns that its client has left.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

import rxagents
from benchmarks.run import Run, in_fresh_process
from benchmarks.workers import ROOT, child_environment
from rxagents.testing import Reply, ScriptedServer

_ENDLESS = Reply("word " * 10_000, interval=0.01)

_PROGRAMS = {
    "aiohttp, reactivex, msgspec": "import aiohttp, reactivex, msgspec",
    "rxagents": "import rxagents",
    "rxagents, a model and an agent": (
        "import rxagents; rxagents.FunctionAgent(rxagents.OpenAI('any', api_key='none'))"
    ),
}
_PEERS = {
    "openai": "import openai; openai.AsyncOpenAI(api_key='none')",
    "langchain-openai": "import langchain_openai; langchain_openai.ChatOpenAI",
    "litellm": "import litellm",
    "pydantic-ai": "from pydantic_ai import Agent",
    "openai-agents": "from agents import Agent, Runner",
    "agno": "from agno.agent import Agent",
    "strands": "from strands import Agent",
}


def imports(run: Run) -> None:
    """Import rxagents, its libraries, and the peers."""
    programs = {name: (sys.executable, program) for name, program in _PROGRAMS.items()}
    for name, program in _PEERS.items():
        if (python := run.workers.python_of(name)) is not None:
            programs[name] = (python, program)
    environment = child_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    for round_ in range(2 * run.rounds + 1):  # the first one compiles
        for name, (python, program) in programs.items():
            if name in _PEERS and round_ > max(1, run.rounds // 3):
                continue  # they take seconds
            begun = time.perf_counter()
            subprocess.run([python, "-c", program], check=True, cwd=ROOT, env=environment)
            if round_:
                run.add("new process", name, "ms", (time.perf_counter() - begun) * 1e3)


def closes(run: Run) -> None:
    """End a stream."""
    rounds = 100 if run.quick else 1_000
    found: dict[str, list[float]] = in_fresh_process(f"{__name__}:milliseconds_of_all", rounds)
    for name, times in found.items():
        ordered = sorted(times)
        for at in range(5):  # percentiles of fifths, so that they have a spread
            part = sorted(times[at * rounds // 5 : (at + 1) * rounds // 5])
            run.add("one stream", name, "ms, p50", part[len(part) // 2])
        run.add("one stream", name, "ms, p99", ordered[len(ordered) * 99 // 100])


async def dispose_ours(llm: rxagents.OpenAI) -> Callable[[], object]:
    """Start a stream; return the function that ends it."""
    first = asyncio.Event()
    stream = llm.chat_stream("go").subscribe(lambda _: first.set())
    await first.wait()
    return stream.dispose


async def close_bare(
    server: ScriptedServer, session: aiohttp.ClientSession
) -> Callable[[], object]:
    """Start to read with aiohttp; return the function that ends it."""
    response = await session.post(f"{server.url}/chat/completions", json={"model": "any"})
    await response.content.readany()
    return response.close


async def milliseconds(
    server: ScriptedServer, begin: Callable[[], Awaitable[Callable[[], object]]]
) -> float:
    """Return the time from the end of a stream to the moment at which the server sees it."""
    end = await begin()
    seen = server.disconnects
    start = time.perf_counter()
    end()
    await server.disconnected(seen + 1)
    return (time.perf_counter() - start) * 1000


async def _milliseconds_of_all(rounds: int) -> dict[str, list[float]]:
    ours, bare = [], []
    async with ScriptedServer(_ENDLESS) as server, aiohttp.ClientSession() as session:
        llm = rxagents.OpenAI("any", api_key="any", base_url=server.url, session=session)
        for _ in range(rounds):
            ours.append(await milliseconds(server, lambda: dispose_ours(llm)))
            bare.append(await milliseconds(server, lambda: close_bare(server, session)))
    return {"bare aiohttp": bare, "rxagents": ours}


def milliseconds_of_all(rounds: int) -> dict[str, list[float]]:
    """Run both in turns; return the milliseconds of each."""
    return asyncio.run(_milliseconds_of_all(rounds))
