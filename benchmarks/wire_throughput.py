"""Compare the CPU time of a chunk on every wire with the vendor's own SDK.

    pip install -e '.[benchmarks]'
    python benchmarks/wire_throughput.py

Both read the same answer over real HTTP from one server, which runs in another process. Only this
process's CPU time is measured. They take turns, round by round; the table shows medians, and the
median of the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import anthropic
import ollama
from google import genai
from google.genai import types as genai_types
from openai import AsyncOpenAI
from replay_server import replay_server
from rich.console import Console
from rich.table import Table

import rxagents

Read: TypeAlias = Callable[[str, int], Awaitable[int]]
"""Reads an answer with this number of chunks from a URL; returns the number of texts it saw."""

_HELLO: list[Any] = [{"role": "user", "content": "go"}]


def ours(make: Callable[..., Any]) -> Read:
    """Subscribe to a provider's stream."""

    async def read(url: str, chunks: int) -> int:
        seen = 0
        done = asyncio.get_running_loop().create_future()

        def count(chunk: rxagents.StreamChunk) -> None:
            nonlocal seen
            seen += chunk.delta != ""

        async with make(
            "replay", api_key="none", base_url=url, headers={"x-chunks": str(chunks)}
        ) as llm:
            stream = llm.chat_stream("go")
            stream.subscribe(count, done.set_exception, lambda: done.set_result(None))
            await done
        return seen

    return read


async def openai_chat(url: str, chunks: int) -> int:
    """Iterate over chat completions."""
    seen = 0
    async with AsyncOpenAI(api_key="none", base_url=url) as client:
        stream = await client.chat.completions.create(
            model="replay", messages=_HELLO, stream=True, extra_headers={"x-chunks": str(chunks)}
        )
        async for event in stream:
            seen += bool(event.choices and event.choices[0].delta.content)
    return seen


async def openai_responses(url: str, chunks: int) -> int:
    """Iterate over a response."""
    seen = 0
    async with AsyncOpenAI(api_key="none", base_url=url) as client:
        stream = await client.responses.create(
            model="replay", input="go", stream=True, extra_headers={"x-chunks": str(chunks)}
        )
        async for event in stream:
            seen += event.type == "response.output_text.delta"
    return seen


async def anthropic_messages(url: str, chunks: int) -> int:
    """Iterate over a message."""
    seen = 0
    async with anthropic.AsyncAnthropic(api_key="none", base_url=url) as client:
        stream = await client.messages.create(
            model="replay",
            max_tokens=9,
            messages=_HELLO,
            stream=True,
            extra_headers={"x-chunks": str(chunks)},
        )
        async for event in stream:
            seen += event.type == "content_block_delta"
    return seen


async def ollama_chat(url: str, chunks: int) -> int:
    """Iterate over a chat."""
    seen = 0
    client = ollama.AsyncClient(host=url, headers={"x-chunks": str(chunks)})
    async for part in await client.chat(model="replay", messages=_HELLO, stream=True):
        seen += bool(part.message.content)
    return seen


async def google_genai(url: str, chunks: int) -> int:
    """Iterate over generated content."""
    seen = 0
    options = genai_types.HttpOptions(base_url=url, headers={"x-chunks": str(chunks)})
    client = genai.Client(api_key="none", http_options=options)
    stream = await client.aio.models.generate_content_stream(model="replay", contents="go")
    async for part in stream:
        seen += bool(part.text)
    return seen


WIRES: dict[str, tuple[Read, Read]] = {
    "openai, chat completions": (ours(rxagents.OpenAI), openai_chat),
    "openai, responses": (ours(rxagents.OpenAIResponses), openai_responses),
    "anthropic": (ours(rxagents.Anthropic), anthropic_messages),
    "google-genai": (ours(rxagents.Gemini), google_genai),
    "ollama": (ours(rxagents.Ollama), ollama_chat),
}


async def cpu_microseconds(read: Read, url: str, chunks: int) -> float:
    """Return the CPU time of one chunk, in microseconds."""
    gc.collect()
    start = time.process_time()
    seen = await read(url, chunks)
    spent = time.process_time() - start
    if seen < chunks:
        raise RuntimeError(f"{seen} of {chunks} chunks arrived")
    return spent / chunks * 1e6


async def measure(url: str, chunks: int, rounds: int) -> list[dict[str, Any]]:
    """Run both in turns on each wire; return a row for each wire."""
    rows = []
    for name, (mine, theirs) in WIRES.items():
        for read in (mine, theirs):
            await read(url, 200)
        times = [
            (
                await cpu_microseconds(mine, url, chunks),
                await cpu_microseconds(theirs, url, max(chunks // 5, 500)),
            )
            for _ in range(rounds)
        ]
        rows.append(
            {
                "sdk": name,
                "us_rxagents": round(statistics.median(mine for mine, _ in times), 2),
                "us_sdk": round(statistics.median(theirs for _, theirs in times), 1),
                "times_faster": round(statistics.median(t / m for m, t in times), 1),
            }
        )
    return rows


def show(rows: list[dict[str, Any]], chunks: int, burst: int) -> None:
    """Print the table."""
    table = Table(title=f"CPU time a chunk, {chunks} chunks in bursts of {burst}")
    for heading in ("SDK", "rxagents, us", "SDK, us", "SDK is slower by"):
        table.add_column(heading, justify="left" if heading == "SDK" else "right")
    for row in rows:
        table.add_row(
            row["sdk"],
            f"{row['us_rxagents']:.2f}",
            f"{row['us_sdk']:.1f}",
            f"{row['times_faster']:.1f} x",
        )
    Console().print(table)


def main() -> None:
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--burst", type=int, default=16, help="events a write of the server")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/wires.json"))
    arguments = parser.parse_args()
    with replay_server(arguments.burst) as url:
        origin = url.removesuffix("/v1")
        rows = asyncio.run(measure(origin, arguments.chunks, arguments.rounds))
    show(rows, arguments.chunks, arguments.burst)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
