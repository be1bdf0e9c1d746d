"""`kill -9` of a process that writes many runs; its readers, and who finds the runs."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from child import run_program, started
from matrix import size
from observing import Numbers, Seen

import rxagents
from rxagents import (
    EventLog,
    LogEntry,
    RedisLogStore,
    RunInterruptedError,
    SQLiteLogStore,
    StreamCancelledError,
    from_log,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.runtime.event_log.log_store import LogStore

pytestmark = pytest.mark.real_time

RUNS = 50

WRITER = """
import asyncio, sys
from rxagents import EventLog, RedisLogStore, SQLiteLogStore, from_aiter

async def numbers():
    number = 0
    while True:
        yield number
        number += 1
        if number % 5 == 0:
            await asyncio.sleep(0.002)

async def main():
    log = EventLog({store})
    handles = [log.start(f"run {{number}}", from_aiter(numbers)) for number in range({runs})]
    while not all(handle._writer.attempt for handle in handles):
        await asyncio.sleep(0.001)
    print("started", flush=True)
    await asyncio.gather(*[handle.wait() for handle in handles])

asyncio.run(main())
"""


async def killed_while_read(writer: str, make: Callable[[float], LogStore]) -> None:
    """Kill a writer while readers read it that are cut at random; each run must then end.

    Args:
        writer: The program that writes.
        make: Makes another store; the argument is how far its clock is ahead.
    """
    received: dict[str, list[LogEntry[int]]] = {f"run {n}": [] for n in range(RUNS)}
    rng, killed, enough = random.Random(1), asyncio.Event(), asyncio.Event()
    least, cuts = size(300, quick=50), 0
    log = EventLog(make(0))

    async def read(key: str) -> None:
        nonlocal cuts
        entries = received[key]
        while not killed.is_set():
            cuts += 1
            after = entries[-1].id if entries else None
            length = rng.randrange(1, 30)
            async with to_aiter(from_log(log, key, int, after=after)) as reader:
                async for entry in reader:
                    entries.append(entry)
                    length -= 1
                    if len(entries) == least and min(map(len, received.values())) >= least:
                        enough.set()
                    if length == 0 or killed.is_set():
                        break

    with started([sys.executable, "-c", writer], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        readers = [asyncio.create_task(read(key)) for key in received]
        await enough.wait()
        process.kill()
        process.wait()
        process.stdout.close()
    killed.set()
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await log.aclose()
    assert cuts >= RUNS * least / 30

    later = EventLog(make(16))  # its clock finds all leases lost
    rest = [Seen(from_log(later, key, int, after=received[key][-1].id)) for key in received]
    await rest[0].over.wait()
    await later.mark_interrupted()
    for seen, entries in zip(rest, received.values(), strict=True):
        await seen.over.wait()
        assert isinstance(seen.error, RunInterruptedError)
        whole = [*entries, *seen.items]
        assert [entry.item for entry in whole] == list(range(len(whole)))
        assert [entry.id for entry in whole] == [f"1-{n}" for n in range(1, len(whole) + 1)]
    await later.aclose()


async def test_killed_writer_leaves_whole_runs(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    writer = WRITER.format(store=f"SQLiteLogStore({str(path)!r})", runs=RUNS)

    def make(ahead: float) -> LogStore:
        return SQLiteLogStore(path, clock=lambda: time.time() + ahead)

    await killed_while_read(writer, make)


async def test_killed_writer_leaves_whole_runs_in_redis(redis_url: str, tmp_path: Path) -> None:
    prefix = str(tmp_path)
    writer = WRITER.format(store=f"RedisLogStore({redis_url!r}, prefix={prefix!r})", runs=RUNS)

    def make(ahead: float) -> LogStore:
        clock = (lambda: time.time() + ahead) if ahead else None
        return RedisLogStore(redis_url, prefix=prefix, clock=clock)

    await killed_while_read(writer, make)


async def test_reader_of_another_process_follows(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    numbers = Numbers(500)
    async with EventLog(SQLiteLogStore(path)) as writing, EventLog(SQLiteLogStore(path)) as log:

        async def paced() -> AsyncIterator[int]:
            async for number in numbers():
                yield number
                if number % 50 == 0:
                    await asyncio.sleep(0.02)

        handle = writing.start("run", rxagents.from_aiter(paced))
        await asyncio.sleep(0.05)
        seen = Seen(from_log(log, "run", int))
        await handle.wait()
        await seen.over.wait()
        assert [entry.item for entry in seen.items] == list(range(500))
        assert seen.completed


async def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with EventLog(SQLiteLogStore(path)) as one, EventLog(SQLiteLogStore(path)) as other:
        one.start("run", rxagents.from_aiter(Numbers(3)))
        with pytest.raises(rxagents.LeaseError, match="is being written"):
            await asyncio.gather(
                one.start("b", rxagents.from_aiter(stalled)).wait(),
                other.start("b", rxagents.from_aiter(stalled)).wait(),
            )


async def stalled() -> AsyncIterator[int]:
    """Yield a number, and never end."""
    yield 0
    await asyncio.Event().wait()


async def test_left_block_waits_for_the_mark(tmp_path: Path) -> None:
    async with EventLog(SQLiteLogStore(tmp_path / "log.db")) as log:
        kept = rxagents.from_aiter(Numbers()).pipe(ops.persist(log, "run"))
        async with to_aiter(kept) as numbers:
            async for number in numbers:
                if number == 100:
                    break
        assert not log.writers
        seen = Seen(from_log(log, "run", int))
        await seen.over.wait()
        assert isinstance(seen.error, StreamCancelledError)
        assert [entry.item for entry in seen.items][:101] == list(range(101))


def test_interrupted_script_writes_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    program = f"""
        import _thread, asyncio, rxagents
        from rxagents import operators as ops

        async def numbers():
            for number in range(51):
                yield number
            await asyncio.Event().wait()

        def stop(number):
            if number == 50:
                _thread.interrupt_main()

        log = rxagents.EventLog(rxagents.SQLiteLogStore({str(path)!r}))
        stream = rxagents.from_aiter(numbers).pipe(ops.persist(log, "run"))
        try:
            rxagents.run(stream, stop)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run_program(program) == "interrupted\n"

    async def check() -> None:
        async with EventLog(SQLiteLogStore(path)) as log:
            seen = Seen(from_log(log, "run", int))
            await seen.over.wait()
            assert isinstance(seen.error, StreamCancelledError)

    asyncio.run(check())
