"""Measure what it costs to keep a stream in an event log, and to read it.

    pip install -e '.[benchmarks]'
    python benchmarks/event_log.py

Keeping: the CPU time per event that `persist` adds to a stream of tokens, without a reader; the
stream alone is subtracted. Reading: the CPU time per event and reader while a run goes on, its
events in bursts as a provider's reads bring them, with the events decoded and as JSON (`Raw`); the
cost of keeping is subtracted. These figures are medians of some rounds. At last, the events of
some runs at a time that are kept in a file of SQLite, with the time until the last is on the disk;
and in Redis, with `--redis redis://localhost:6379/0`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import reactivex as rx
from rich.console import Console

from rxagents import (
    EventLog,
    MemoryLogStore,
    RedisLogStore,
    Retention,
    SQLiteLogStore,
    StreamEvent,
    Token,
    from_aiter,
    from_log,
)
from rxagents import operators as ops
from rxagents.runtime.event_log.log_store import LogStore

_BURST = 16
_EVERYTHING = Retention(entries=None, bytes=None)


def new_log() -> EventLog:
    """Return a log that keeps everything."""
    return EventLog(MemoryLogStore(_EVERYTHING))


async def keep(tokens: list[Token], log: EventLog | None) -> float:
    """Return the seconds of CPU of a stream; it is kept if there is a log."""
    stream: rx.Observable[Any] = rx.from_iterable(tokens)
    if log is not None:
        stream = stream.pipe(ops.persist(log, "run"))
    start = time.process_time()
    stream.subscribe(_ignore)
    return time.process_time() - start


async def read(tokens: list[Token], readers: int, item_type: Any) -> float:
    """Return the seconds of CPU of a run with readers."""
    log, received = new_log(), 0

    def count(_: object) -> None:
        nonlocal received
        received += 1

    async def bursts() -> AsyncIterator[Token]:
        for start in range(0, len(tokens), _BURST):
            for token in tokens[start : start + _BURST]:
                yield token
            for _ in range(3):
                await asyncio.sleep(0)

    handle = log.start("run", from_aiter(bursts))
    start = time.process_time()
    ended = [asyncio.Event() for _ in range(readers)]
    for each in ended:
        from_log(log, "run", item_type).subscribe(count, on_completed=each.set)
    await handle.wait()
    for each in ended:
        await each.wait()
    if received != readers * len(tokens):
        raise RuntimeError(f"{received} events were read, not {readers * len(tokens)}.")
    return time.process_time() - start


async def keep_in(store: LogStore, tokens: list[Token], runs: int) -> tuple[float, float]:
    """Return the seconds of some runs at a time that are kept in a store, and those of CPU."""
    async with EventLog(store) as log:

        async def bursts() -> AsyncIterator[Token]:
            for start in range(0, len(tokens), _BURST):
                for token in tokens[start : start + _BURST]:
                    yield token
                await asyncio.sleep(0)

        start, cpu = time.perf_counter(), time.process_time()
        keys = [uuid.uuid4().hex for _ in range(runs)]
        handles = [log.start(key, from_aiter(bursts)) for key in keys]
        for handle in handles:
            await handle.wait()
        seconds = time.perf_counter() - start, time.process_time() - cpu
        for key in keys:
            await log.forget(key)
        return seconds


def _ignore(_: object) -> None: ...


def measure(events: int, rounds: int, report: Callable[[str], None]) -> None:
    """Measure and report."""
    tokens = [Token(f"word {number} ") for number in range(events)]
    kept = [
        asyncio.run(keep(tokens, new_log())) - asyncio.run(keep(tokens, None))
        for _ in range(rounds)
    ]
    report(f"keep, in memory: {statistics.median(kept) / events * 1e6:.2f} us an event")
    few = tokens[: max(_BURST, events // 10)]
    for name, item_type in (("events", StreamEvent), ("JSON", msgspec.Raw)):
        for readers in (1, 100):
            spent = [
                asyncio.run(read(few, readers, item_type)) - asyncio.run(read(few, 0, item_type))
                for _ in range(rounds)
            ]
            cost = statistics.median(spent) / len(few) / readers * 1e6
            report(f"read as {name}, {readers} readers: {cost:.2f} us a reader and event")


def measure_store(
    name: str, make: Callable[[], LogStore], events: int, report: Callable[[str], None]
) -> None:
    """Measure and report a store that other processes can read."""
    for runs in (1, 50):
        tokens = [Token(f"word {number} ") for number in range(events // runs)]
        seconds, cpu = asyncio.run(keep_in(make(), tokens, runs))
        count = len(tokens) * runs
        report(
            f"keep, in {name}, {runs} runs: {count / seconds:,.0f} events a second, "
            f"{cpu / count * 1e6:.1f} us of CPU an event"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--redis", help="the URL of a Redis server, to measure its store too")
    arguments = parser.parse_args()
    measure(arguments.events, arguments.rounds, Console().print)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        in_file = partial(SQLiteLogStore, path, _EVERYTHING)
        measure_store("a file", in_file, arguments.events, Console().print)
    if arguments.redis:
        in_redis = partial(RedisLogStore, arguments.redis, _EVERYTHING, prefix="benchmark")
        measure_store("Redis", in_redis, arguments.events, Console().print)


if __name__ == "__main__":
    main()
