"""Scenario: `rxagents.run_many` on the loop, on the cores and on Ray, each in a new process.

For each engine and number of live runs:

- events a second, and the CPU time an event of the reader and of the workers, with models in the
  workers that write as fast as they can;
- p50 and p99 of the time from an event's creation to the subscriber, at 20 tokens a second a run.

"by hand" is a Ray actor with one generator of batches for all its runs, written without `run_many`.
Then how long after `dispose` the last connection of 50 runs is closed, and the memory of the reader
and of the workers while the reader stands still. Time starts at the first event: it takes a process
a second to start, and Ray ten.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from reactivex import Observable

import rxagents
from benchmarks.environments import MissingPeerError
from benchmarks.peers import Peer
from benchmarks.report import OUR_LIBRARIES
from benchmarks.run import Run, in_fresh_process
from benchmarks.run_many_agents import (
    WORDS,
    HandWritten,
    make_client,
    make_endless,
    make_fast,
    make_paced,
)
from rxagents import StreamEvent

_WORKERS = 2
_CLOSED = 50
"""Runs at a time in the measurements of the end and of the memory."""

_RAY = Peer("", ("ray", *OUR_LIBRARIES, "docstring_parser"))
"""Ray, and what rxagents needs in the same process."""

_RAY_SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on 127.0.0.1 only
    "RAY_USAGE_STATS_ENABLED": "0",
}


def run_many(run: Run) -> None:
    """Measure each engine with rising numbers of live runs."""
    pythons = {"loop": sys.executable, "processes": sys.executable}
    try:
        ray = run.workers.environments.python_of("ray", _RAY)
        pythons |= {"ray": ray, "by hand": ray}
    except MissingPeerError as error:
        run.miss("run_many on Ray", str(error))
    lives, count = ([50], 200) if run.quick else ([50, 200, 500], 1_000)
    for round_ in range(run.choose_rounds(1, 2)):
        for engine, python in pythons.items():
            with_end = engine != "by hand" and not round_
            arguments = (engine, lives, count, with_end)
            try:
                found = in_fresh_process(f"{__name__}:measure", *arguments, python=python)
            except RuntimeError as error:
                run.miss(f"run_many, {engine}", str(error))
                continue
            for work, measured, value in found:
                run.add(work, engine, measured, value)


def measure(
    engine: str, lives: list[int], count: int, with_end: bool
) -> list[tuple[str, str, float]]:
    """Return the work, the measure and the figure of all that is measured of an engine."""
    return list(_figures(_make_of(engine), lives, count, with_end))


def _make_of(engine: str) -> Make:
    """Return a function that makes streams of an engine."""
    if engine == "loop":
        return partial(with_engine, None)
    if engine == "processes":
        return partial(with_engine, rxagents.processes(_WORKERS))
    os.environ.update({name: os.environ.get(name, value) for name, value in _RAY_SETTINGS.items()})
    import ray

    from rxagents import cluster

    ray.init(num_cpus=_WORKERS, include_dashboard=False, log_to_driver=False)
    if engine == "by hand":
        return partial(by_hand, _WORKERS)
    return partial(with_engine, cluster.ray(actors=_WORKERS, options={"num_cpus": 0.5}))


def _figures(
    make: Make, lives: list[int], count: int, with_end: bool
) -> Iterator[tuple[str, str, float]]:
    for live in lives:
        work = f"{live} live runs of {WORDS} tokens"
        rate, reader, workers = throughput(make, live, max(count, live))
        yield work, "events a second", rate
        yield work, "us of CPU an event, reader", reader
        yield work, "workers", workers
        median, late = delivery(make, live)
        yield work, "delay p50, ms", median
        yield work, "delay p99, ms", late
    if with_end:
        work = f"the end of {_CLOSED} runs"
        yield work, "ms from dispose to the last close", asyncio.run(closing(make, _CLOSED))
        work = f"{_CLOSED} runs while the reader stands still"
        for seconds, own, workers in asyncio.run(memory(make, _CLOSED)):
            yield work, f"MiB of the reader after {seconds} s", own
            yield work, f"of the workers after {seconds} s", workers


Make = Callable[[Callable[[], Any], int, int], Observable[tuple[str, StreamEvent]]]
"""Makes the stream of so many runs of a factory's agent, so many at a time."""


def with_engine(engine: Any, factory: Callable[[], Any], count: int, live: int) -> Any:
    """Return the stream of `run_many`."""
    inputs = {str(number): "Hello" for number in range(count)}
    return rxagents.run_many(factory, inputs, concurrency=live, engine=engine)


def by_hand(workers: int, factory: Callable[[], Any], count: int, live: int) -> Any:
    """Return the stream of hand-written Ray actors, in waves of `live` runs."""
    import ray

    async def events() -> AsyncIterator[tuple[str, StreamEvent]]:
        actor_class: Any = ray.remote(HandWritten).options(num_cpus=0.5)
        actors = [actor_class.remote() for _ in range(workers)]
        queue: asyncio.Queue[Any] = asyncio.Queue(16)

        async def read(actor: Any, keys: list[str]) -> None:
            generator = actor.events.options(num_returns="streaming").remote(
                keys, paced=factory is make_paced
            )
            async for reference in generator:
                await queue.put(await reference)

        for start in range(0, count, live):
            keys = [str(number) for number in range(start, min(count, start + live))]
            tasks = [
                asyncio.ensure_future(read(actor, keys[number::workers]))
                for number, actor in enumerate(actors)
            ]
            wave = asyncio.ensure_future(asyncio.wait(tasks))
            wave.add_done_callback(lambda _: queue.put_nowait(None))
            while (batch := await queue.get()) is not None:
                for item in batch:
                    yield item
        for actor in actors:
            ray.kill(actor)

    return rxagents.from_aiter(events)


def throughput(make: Make, live: int, runs: int) -> tuple[float, float, float]:
    """Return the events a second, and the microseconds of CPU an event: reader, workers."""
    count, begin, end = 0, runs * WORDS // 4, runs * WORDS  # all workers are there by then
    times: list[tuple[float, float, float]] = []

    def on_next(_: object) -> None:
        nonlocal count
        count += 1
        if count in {begin, end}:
            cpu = sum(worker.cpu for worker in _workers())
            times.append((time.perf_counter(), time.process_time(), cpu))

    rxagents.run(make(make_fast, runs, live), on_next)
    seconds, reader, workers = (after - before for before, after in zip(*times, strict=True))
    events = end - begin
    return events / seconds, reader / events * 1e6, workers / events * 1e6


def delivery(make: Make, live: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of the delay in milliseconds."""
    delays: list[float] = []

    def on_next(item: tuple[str, StreamEvent]) -> None:
        delays.append(time.time() - item[1].timestamp)

    rxagents.run(make(make_paced, live, live), on_next)
    middle = sorted(delays[len(delays) // 4 :])  # the runs do not start at once
    return statistics.median(middle) * 1e3, middle[len(middle) * 99 // 100] * 1e3


async def closing(make: Make, live: int) -> float:
    """Return the milliseconds from `dispose` until the last connection is closed."""
    open_connections, all_open = set(), asyncio.Event()
    closed = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        writer.write(head + b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
        if len(open_connections) == live:
            all_open.set()
        while await reader.read(4096):
            pass
        open_connections.discard(writer)
        writer.close()
        if not open_connections:
            closed.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with rxagents.to_aiter(make(partial(make_client, url), live, live)) as items:
            await all_open.wait()
            while (await anext(items))[1].type != "token":
                pass
            await asyncio.sleep(0.5)
            start = time.perf_counter()
        await closed.wait()
        return (time.perf_counter() - start) * 1e3


async def memory(make: Make, live: int) -> list[tuple[int, float, float]]:
    """Return MiB of this process and of its workers, some seconds after the reader has stopped."""
    found = []
    async with rxagents.to_aiter(make(make_endless, live, live)) as items:
        for _ in range(5000):
            await anext(items)
        passed = 0
        for seconds in (1, 10):
            await asyncio.sleep(seconds - passed)
            passed = seconds
            own = _process(Path("/proc/self")).memory
            found.append((seconds, own, sum(worker.memory for worker in _workers())))
    return found


class _Process(NamedTuple):
    """A process: its resident memory in MiB, and its CPU time in seconds."""

    memory: float
    cpu: float


def _process(folder: Path) -> _Process:
    stat = (folder / "stat").read_text().rpartition(")")[2].split()
    pages = int((folder / "statm").read_text().split()[1])
    ticks = int(stat[11]) + int(stat[12])
    return _Process(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, ticks / os.sysconf("SC_CLK_TCK"))


def _workers() -> list[_Process]:
    """Return the worker processes of this program, or of the Ray that it has started."""
    parents: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
            name = (folder / "cmdline").read_bytes()
        except (OSError, IndexError, ValueError):
            continue
        if b"many_runs.child" in name or name.startswith((b"ray::RayWorker", b"ray::HandWritten")):
            folders[int(folder.name)] = folder
    found = []
    for pid, folder in folders.items():
        above = pid
        while above not in {os.getpid(), 0}:
            above = parents.get(above, 0)
        if above:
            with suppress(OSError):
                found.append(_process(folder))
    return found
