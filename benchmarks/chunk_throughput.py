"""Compare the CPU time of a chunk: rxagents, a bare read, a hand-written loop, the openai SDK.

    pip install -e '.[benchmarks]'
    python benchmarks/chunk_throughput.py
    python benchmarks/chunk_throughput.py --chain my_module:my_chain

All contenders read the same answer over real HTTP from one server, which runs in another process.
Only this process's CPU time is measured, so a noisy machine matters little. The contenders take
turns, round by round; the table shows medians.

`--chain` names a function without arguments that returns an operator: a function from an Observable
of `StreamChunk` to an Observable.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import msgspec
from openai import AsyncOpenAI
from reactivex import Observable, compose
from reactivex import operators as rx_ops
from replay_server import replay_server
from rich.console import Console
from rich.table import Table

import rxagents
from rxagents import StreamChunk

Contender: TypeAlias = Callable[[int], Awaitable[int]]
"""Reads an answer with this number of chunks; returns the number of texts it saw."""

Chain: TypeAlias = Callable[[Observable[StreamChunk]], Observable[Any]]


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta


class _Event(msgspec.Struct):
    choices: list[_Choice]


def bare_read(session: aiohttp.ClientSession, url: str) -> Contender:
    """Read the bytes and ignore them."""

    async def read(chunks: int) -> int:
        async with session.post(url, json={}, headers={"x-chunks": str(chunks)}) as response:
            async for _ in response.content.iter_any():
                pass
        return chunks

    return read


def hand_written(session: aiohttp.ClientSession, url: str) -> Contender:
    """Extract the text with the least work: code written by hand for one provider."""
    decode = msgspec.json.Decoder(_Event).decode

    async def read(chunks: int) -> int:
        seen, rest = 0, b""
        async with session.post(url, json={}, headers={"x-chunks": str(chunks)}) as response:
            async for data in response.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if not line.startswith(b"data: ") or line == b"data: [DONE]":
                        continue
                    event = decode(line[6:])
                    if event.choices and event.choices[0].delta.content:
                        seen += 1
        return seen

    return read


def ours(url: str, chain: Chain | None = None) -> Contender:
    """Subscribe to the provider's stream, through `chain` if given."""

    async def read(chunks: int) -> int:
        llm = rxagents.OpenAI(
            "replay", api_key="none", base_url=url, headers={"x-chunks": str(chunks)}
        )
        seen = 0
        done = asyncio.get_running_loop().create_future()

        def count(_: object) -> None:
            nonlocal seen
            seen += 1

        stream: Observable[Any] = llm.chat_stream("go")
        if chain is not None:
            stream = chain(stream)
        stream.subscribe(count, done.set_exception, lambda: done.set_result(None))
        await done
        await llm.aclose()
        return seen

    return read


def three_operators(source: Observable[StreamChunk]) -> Observable[int]:
    """Map to the text, filter the empty ones, scan the length."""

    def delta(chunk: StreamChunk) -> str:
        return chunk.delta

    def has_text(text: str) -> bool:
        return text != ""

    def add(length: int, text: str) -> int:
        return length + len(text)

    return source.pipe(rx_ops.map(delta), rx_ops.filter(has_text), rx_ops.scan(add, 0))


def openai_sdk(url: str) -> Contender:
    """Iterate over the openai SDK's stream."""

    async def read(chunks: int) -> int:
        seen = 0
        async with AsyncOpenAI(api_key="none", base_url=url) as client:
            stream = await client.chat.completions.create(
                model="replay",
                messages=[{"role": "user", "content": "go"}],
                stream=True,
                extra_headers={"x-chunks": str(chunks)},
            )
            async for event in stream:
                if event.choices and event.choices[0].delta.content:
                    seen += 1
        return seen

    return read


async def cpu_microseconds(contender: Contender, chunks: int) -> float:
    """Return the CPU time of one chunk, in microseconds."""
    gc.collect()
    start = time.process_time()
    seen = await contender(chunks)
    spent = time.process_time() - start
    if seen < chunks:
        raise RuntimeError(f"{seen} of {chunks} chunks arrived")
    return spent / chunks * 1e6


async def measure(
    url: str, chunks: int, rounds: int, chain: Chain | None
) -> dict[str, list[float]]:
    """Run the contenders in turns; return the microseconds a chunk of each, by round."""
    endpoint = f"{url}/chat/completions"
    async with aiohttp.ClientSession() as session:
        contenders = {
            "bare aiohttp read": bare_read(session, endpoint),
            "hand-written loop": hand_written(session, endpoint),
            "rxagents": ours(url),
            "rxagents, map/filter/scan": ours(url, three_operators),
            "openai SDK": openai_sdk(url),
        }
        if chain is not None:
            contenders["rxagents, your chain"] = ours(url, chain)
        for contender in contenders.values():
            await contender(min(chunks, 1000))
        spent: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, contender in contenders.items():
                size = max(chunks // 10, 500) if name == "openai SDK" else chunks
                spent[name].append(await cpu_microseconds(contender, size))
    return spent


async def length_ratio(url: str, rounds: int) -> float:
    """Return the cost of a chunk in a stream of 200,000, divided by that in a stream of 2,000."""
    contender = ours(url)
    ratios = []
    for _ in range(rounds):
        short = [await cpu_microseconds(contender, 2_000) for _ in range(20)]
        ratios.append(await cpu_microseconds(contender, 200_000) / statistics.median(short))
    return statistics.median(ratios)


def summarize(spent: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return a row for each contender; a ratio is the median of the ratios of each round."""
    loop = spent["hand-written loop"]
    sdk = spent["openai SDK"]
    return [
        {
            "contender": name,
            "us_per_chunk": round(statistics.median(times), 3),
            "times_hand_written": round(_ratio(times, loop), 2),
            "times_faster_than_openai_sdk": round(_ratio(sdk, times), 1),
        }
        for name, times in spent.items()
    ]


def _ratio(over: list[float], under: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def load_chain(name: str) -> Chain:
    """Import `module:function`, also from the current folder, and call the function."""
    module, _, function = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    chain: Chain = getattr(importlib.import_module(module), function)()
    return compose(chain)


def show(rows: list[dict[str, Any]], ratio: float, chunks: int, burst: int) -> None:
    """Print the table."""
    table = Table(title=f"CPU time a chunk, {chunks} chunks in bursts of {burst}")
    for heading in ("", "us a chunk", "x hand-written", "openai SDK is slower by"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        table.add_row(
            row["contender"],
            f"{row['us_per_chunk']:.2f}",
            f"{row['times_hand_written']:.2f}",
            f"{row['times_faster_than_openai_sdk']:.1f} x",
        )
    console = Console()
    console.print(table)
    console.print(f"a chunk of 200,000 costs {ratio:.2f} x a chunk of 2,000")


def main() -> None:
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--burst", type=int, default=16, help="events a write of the server")
    parser.add_argument("--chain", help="module:function that returns an operator")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/throughput.json"))
    arguments = parser.parse_args()
    chain = load_chain(arguments.chain) if arguments.chain else None
    with replay_server(arguments.burst) as url:
        spent = asyncio.run(measure(url, arguments.chunks, arguments.rounds, chain))
        ratio = asyncio.run(length_ratio(url, 3))
    rows = summarize(spent)
    show(rows, ratio, arguments.chunks, arguments.burst)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "python": platform.python_version(),
        "chunks": arguments.chunks,
        "burst": arguments.burst,
        "rows": rows,
        "cost_at_200000_over_2000": round(ratio, 3),
    }
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
