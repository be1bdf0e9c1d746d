"""Scenario: what it costs to keep a stream in an event log, and to read it.

Keeping: the CPU time per event that `persist` adds to a stream of tokens, without a reader; the
stream alone is subtracted. Reading: the CPU time per event and reader while a run goes on, its
events in bursts as a provider's reads bring them, with the events decoded and as JSON (`Raw`); the
cost of keeping is subtracted. At last, the events of some runs at a time that are kept in a file of
SQLite, with the time until the last is on the disk; and in Redis, if `RXAGENTS_BENCHMARK_REDIS` is
the URL of a server.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import reactivex as rx

from benchmarks.run import Run, in_fresh_process
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


_ITEM_TYPES: dict[str, Any] = {"events": StreamEvent, "JSON": msgspec.Raw}


def keep_in_memory(events: int) -> float:
    """Return the CPU microseconds that `persist` adds to an event."""
    tokens = _tokens(events)
    kept, bare = (asyncio.run(keep(tokens, log)) for log in (new_log(), None))
    return (kept - bare) / events * 1e6


def read_kept(events: int, readers: int, kind: str) -> float:
    """Return the CPU microseconds of a reader and event."""
    tokens, item_type = _tokens(events), _ITEM_TYPES[kind]
    spent = asyncio.run(read(tokens, readers, item_type)) - asyncio.run(read(tokens, 0, item_type))
    return spent / events / readers * 1e6


def keep_in_store(events: int, runs: int, redis: str = "") -> tuple[float, float]:
    """Return the events a second, and the CPU microseconds of an event."""
    tokens = _tokens(events // runs)
    with tempfile.TemporaryDirectory() as folder:
        store: LogStore
        if redis:
            store = RedisLogStore(redis, _EVERYTHING, prefix="benchmark")
        else:
            store = SQLiteLogStore(Path(folder) / "log.db", _EVERYTHING)
        seconds, cpu = asyncio.run(keep_in(store, tokens, runs))
    count = len(tokens) * runs
    return count / seconds, cpu / count * 1e6


def _tokens(events: int) -> list[Token]:
    return [Token(f"word {number} ") for number in range(events)]


def event_log(run: Run) -> None:
    """Measure the stores and the readers."""
    events = 50_000
    stores = {"a file": ""}
    if redis := os.environ.get("RXAGENTS_BENCHMARK_REDIS"):
        stores["Redis"] = redis
    for _ in range(run.choose_rounds(5, 5)):
        cost = in_fresh_process(f"{__name__}:keep_in_memory", events)
        run.add("keep", "in memory", "us of CPU", cost)
        for kind in _ITEM_TYPES:
            for readers in (1, 100):
                cost = in_fresh_process(f"{__name__}:read_kept", events // 10, readers, kind)
                run.add("read", f"as {kind}, {readers} readers", "us of CPU", cost)
        for name, url in stores.items():
            for runs in (1, 50):
                rate, cpu = in_fresh_process(f"{__name__}:keep_in_store", events, runs, url)
                run.add("keep", f"in {name}, {runs} runs", "us of CPU", cpu)
                run.add("keep", f"in {name}, {runs} runs", "events a second", rate)
