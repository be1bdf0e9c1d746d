"""Measure `rxagents.run_many` on the loop, on the cores and on Ray.

    pip install -e '.[benchmarks,ray]'
    python -m benchmarks.run_many
    python -m benchmarks.run_many --engines loop processes --live 50 200 500

For each engine and number of live runs:

- events/s, and the CPU time an event of the driver and of the workers, with models in the workers
  that write as fast as they can;
- p50 and p99 of the time from an event's creation to the subscriber, at 20 tokens a second a run.

"by hand" is a Ray actor with one generator of batches for all its runs, written without `run_many`.
Then how long after `dispose` the last connection of 50 runs is closed, and the memory of the driver
and of the workers while the reader stands still. Time starts at the first event: it takes a process
a second to start, and Ray ten.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from reactivex import Observable
from rich.console import Console
from rich.table import Table

import rxagents
from benchmarks.run_many_agents import (
    WORDS,
    HandWritten,
    make_client,
    make_endless,
    make_fast,
    make_paced,
)
from rxagents import StreamEvent

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
    """Return the events a second, and the microseconds of CPU an event: driver, workers."""
    count, begin, end = 0, runs * WORDS // 4, runs * WORDS  # all workers are there by then
    times: list[tuple[float, float, float]] = []

    def on_next(_: object) -> None:
        nonlocal count
        count += 1
        if count in {begin, end}:
            cpu = sum(worker.cpu for worker in _workers())
            times.append((time.perf_counter(), time.process_time(), cpu))

    rxagents.run(make(make_fast, runs, live), on_next)
    seconds, driver, workers = (after - before for before, after in zip(*times, strict=True))
    events = end - begin
    return events / seconds, driver / events * 1e6, workers / events * 1e6


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


async def memory(make: Make, live: int) -> list[tuple[float, float]]:
    """Return MiB of this process and of its children, while the reader stands still."""
    found = []
    async with rxagents.to_aiter(make(make_endless, live, live)) as items:
        for _ in range(5000):
            await anext(items)
        for seconds in (1, 5, 5):
            await asyncio.sleep(seconds)
            own = _process(Path("/proc/self")).memory
            found.append((own, sum(worker.memory for worker in _workers())))
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
    """Return the worker processes, of this program or of Ray."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            name = (folder / "cmdline").read_bytes()
            if (parent == os.getpid() and b"many_runs.child" in name) or name.startswith(
                (b"ray::RayWorker", b"ray::HandWritten")
            ):
                found.append(_process(folder))
        except (OSError, IndexError, ValueError):
            continue
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    names = ["loop", "processes", "ray", "by hand"]
    parser.add_argument("--engines", nargs="+", default=names, choices=names)
    parser.add_argument("--live", nargs="+", type=int, default=[50, 200, 500])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=1000, help="runs for the throughput")
    options = parser.parse_args()
    engines: dict[str, Make] = {}
    for name in options.engines:
        if name == "loop":
            engines[name] = partial(with_engine, None)
        elif name == "processes":
            engines[name] = partial(with_engine, rxagents.processes(options.workers))
        elif name == "ray":
            from rxagents import cluster

            engine = cluster.ray(actors=options.workers, options={"num_cpus": 0.5})
            engines[name] = partial(with_engine, engine)
        else:
            engines[name] = partial(by_hand, options.workers)
    if {"ray", "by hand"} & set(options.engines):
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    console = Console()
    table = Table("engine", "live", "events/s", "driver µs", "workers µs", "p50 ms", "p99 ms")
    for live in options.live:
        for name, make in engines.items():
            rate, driver, workers = throughput(make, live, max(options.runs, live))
            median, late = delivery(make, live)
            figures = rate, driver, workers, median, late
            row = [f"{rate:,.0f}", *(f"{figure:.1f}" for figure in figures[1:])]
            table.add_row(name, str(live), *row)
            console.print(name, live, *row)
    console.print(f"\n{WORDS} tokens a run", table)
    for name, make in engines.items():
        if name == "by hand":
            continue
        console.print(f"{name}: last of 50 connections closed", end=" ")
        console.print(f"{asyncio.run(closing(make, 50)):.1f} ms after dispose")
        sizes = asyncio.run(memory(make, 50))
        shown = "; ".join(f"{own:.0f} and {workers:.0f}" for own, workers in sizes)
        console.print(f"{name}: MiB of driver and workers, reader stands still: {shown}")


if __name__ == "__main__":
    main()
