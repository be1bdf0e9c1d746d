"""Measure what it costs to keep a stream in an event log, and to read it.

    pip install -e '.[benchmarks]'
    python benchmarks/event_log.py

Keeping: the CPU time per event that `persist` adds to a stream of tokens, without a reader; the
stream alone is subtracted. Reading: the CPU time per event and reader while a run goes on, its
events in bursts as a provider's reads bring them, with the events decoded and as JSON (`Raw`); the
cost of keeping is subtracted. These figures are medians of some rounds. At last, the events of
some runs at a time that are kept in a file of SQLite, with the time until the last is on the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import reactivex as rx
from rich.console import Console

from rxagents import (
    EventLog,
    MemoryLogStore,
    Retention,
    SQLiteLogStore,
    StreamEvent,
    Token,
    from_aiter,
    from_log,
)
from rxagents import operators as ops

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


async def keep_in_file(tokens: list[Token], runs: int, path: Path) -> tuple[float, float]:
    """Return the seconds of some runs at a time that are kept in a file, and those of CPU."""
    async with EventLog(SQLiteLogStore(path, _EVERYTHING)) as log:

        async def bursts() -> AsyncIterator[Token]:
            for start in range(0, len(tokens), _BURST):
                for token in tokens[start : start + _BURST]:
                    yield token
                await asyncio.sleep(0)

        start, cpu = time.perf_counter(), time.process_time()
        handles = [log.start(f"run {number}", from_aiter(bursts)) for number in range(runs)]
        for handle in handles:
            await handle.wait()
        return time.perf_counter() - start, time.process_time() - cpu


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


def measure_file(events: int, report: Callable[[str], None]) -> None:
    """Measure and report a file of SQLite."""
    for runs in (1, 50):
        tokens = [Token(f"word {number} ") for number in range(events // runs)]
        with tempfile.TemporaryDirectory() as folder:
            seconds, cpu = asyncio.run(keep_in_file(tokens, runs, Path(folder) / "log.db"))
        count = len(tokens) * runs
        report(
            f"keep, in a file, {runs} runs: {count / seconds:,.0f} events a second, "
            f"{cpu / count * 1e6:.1f} us of CPU an event"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    measure(arguments.events, arguments.rounds, Console().print)
    measure_file(arguments.events, Console().print)


if __name__ == "__main__":
    main()
