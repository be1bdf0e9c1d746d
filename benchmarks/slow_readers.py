"""Scenario: a reader that handles 200 chunks a second, of a stream that sends 1,000.

Each policy runs in a new process. How much of the text was read (up to the last chunk that was),
the age of a chunk when it is read, and the growth of the process's memory show what a policy gives
up.
"""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path

import rxagents
from benchmarks.paced_server import NUMBER, SENT_AT, TEXT_LENGTH, paced_server
from benchmarks.run import Run, in_fresh_process
from rxagents import Overflow

_RATE = 1_000.0
_SECONDS_A_CHUNK = 0.005


def slow_readers(run: Run) -> None:
    """Measure each policy."""
    seconds = 2.0 if run.quick else 6.0
    with paced_server(_RATE, burst=16) as url:
        for _ in range(run.choose_rounds(1, 3)):
            for policy in Overflow:
                found = in_fresh_process(f"{__name__}:read_slowly", url, policy.value, seconds)
                for measure, value in found.items():
                    run.add("1,000 chunks a second", policy.value, measure, value)


def read_slowly(url: str, policy: str, seconds: float) -> dict[str, float]:
    """Read for some seconds; return the figures."""
    return asyncio.run(_read_slowly(url, Overflow(policy), seconds))


async def _read_slowly(url: str, policy: Overflow, seconds: float) -> dict[str, float]:
    ages: list[float] = []
    items, length, last = 0, 0, ""
    async with rxagents.OpenAI("paced", api_key="none", base_url=url) as llm:
        stream = llm.chat_stream("go")
        before, end = _resident_kib(), time.monotonic() + seconds
        try:
            async with rxagents.to_aiter(stream, capacity=64, overflow=policy) as chunks:
                async for chunk in chunks:
                    if chunk.delta:
                        items += 1
                        length += len(chunk.delta)
                        last = chunk.delta[-TEXT_LENGTH:]
                        ages.append(time.monotonic() - float(chunk.delta[SENT_AT]))
                    if time.monotonic() > end:
                        break
                    await asyncio.sleep(_SECONDS_A_CHUNK)
        except rxagents.BackpressureError:
            seconds -= max(0.0, end - time.monotonic())
        grown = _resident_kib() - before
    ages.sort()
    return {
        "items a second": items / seconds,
        "% of the text": 100 * length / TEXT_LENGTH / (int(last[NUMBER]) + 1),
        "s until the end": seconds,
        "age when read, p50, ms": ages[len(ages) // 2] * 1e3,
        "age, most, ms": ages[-1] * 1e3,
        "KiB grown": grown,
    }


def _resident_kib() -> float:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1024
