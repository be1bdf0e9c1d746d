"""Measure how long `import rxagents` takes, and how soon a server sees a dispose.

    pip install -e '.[benchmarks]'
    python benchmarks/start_and_stop.py

The import is timed in a new process, in turns with one that imports only aiohttp, reactivex and
msgspec. The close is timed from `dispose()`, or from the close of a bare aiohttp response, to the
moment at which the server, in this process, learns that its client has left.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
from rich.console import Console

import rxagents
from rxagents.testing import Reply, ScriptedServer

_LIBRARIES = "import aiohttp, reactivex, msgspec"
_ENDLESS = Reply("word " * 10_000, interval=0.01)


def import_ratio(rounds: int) -> float:
    """Return the median time of `import rxagents` over that of the libraries alone."""

    def seconds(program: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return time.perf_counter() - start

    ratios = []
    for _ in range(rounds):
        alone = seconds(_LIBRARIES)
        ratios.append(seconds("import rxagents") / alone)
    return statistics.median(ratios)


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


async def closes(rounds: int) -> tuple[list[float], list[float]]:
    """Run both in turns; return the milliseconds of each."""
    ours, bare = [], []
    async with ScriptedServer(_ENDLESS) as server, aiohttp.ClientSession() as session:
        llm = rxagents.OpenAI("any", api_key="any", base_url=server.url, session=session)
        for _ in range(rounds):
            ours.append(await milliseconds(server, lambda: dispose_ours(llm)))
            bare.append(await milliseconds(server, lambda: close_bare(server, session)))
    return ours, bare


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    console = Console()
    console.print(f"import rxagents: {import_ratio(15):.2f} x its libraries")
    for name, times in zip(("dispose()", "bare aiohttp"), asyncio.run(closes(rounds)), strict=True):
        *_, p99 = statistics.quantiles(times, n=100)
        console.print(f"{name}: seen after {statistics.median(times):.2f} ms, p99 {p99:.2f} ms")


if __name__ == "__main__":
    main()
