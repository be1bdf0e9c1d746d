"""Kill workers and the program itself while many runs with a log run, and look at the log.

    python -m benchmarks.run_many_crashes --runs 2000
    python -m benchmarks.run_many_crashes --engine ray --runs 2000

Each run has two turns and a tool, which asks a server of this process. A worker is killed with
SIGKILL at a random moment, later the program that reads the stream; then it is started again. At
the end each run must have completed, with a text that no two attempts share, and the tools' server
must have been asked once for each call whose end the log has.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import rxagents
from benchmarks.run_many_agents import make_stepping
from rxagents import (
    Complete,
    EventLog,
    Reset,
    Retention,
    RunReport,
    SQLiteLogStore,
    StreamEvent,
    Token,
    ToolEnd,
    TurnStart,
)

_LEASE = 20
"""Seconds by which the clock of the next program is ahead: its leases of the last one are over."""


def drive(engine_name: str, path: str, port: int, runs: int, ahead: float) -> None:
    """Run all tasks, as the program that is killed."""
    engine: Any
    if engine_name == "ray":
        import ray

        from rxagents import cluster

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        engine = cluster.ray(actors=2, options={"num_cpus": 0.5})
    else:
        engine = rxagents.processes(2)
    attempts: Counter[int] = Counter()

    def on_report(report: RunReport) -> None:
        attempts[report.attempts] += 1

    async def main() -> None:
        store = SQLiteLogStore(path, Retention(runs=None), clock=lambda: time.time() + ahead)
        async with EventLog(store) as log:
            stream = rxagents.run_many(
                partial(make_stepping, port),
                {f"run-{number}": f"task {number}" for number in range(runs)},
                concurrency=200,
                engine=engine,
                log=log,
                report=on_report,
            )
            print("started", flush=True)
            async with rxagents.to_aiter(stream) as items:
                async for _ in items:
                    pass
        print("done", dict(attempts), flush=True)

    asyncio.run(main())


async def crash(engine_name: str, runs: int, rng: random.Random) -> None:
    """Start the program, kill a worker and the program, start it again, and check the log."""
    asked: Counter[str] = Counter()
    progress = asyncio.Event()
    enough = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = (await reader.readline()).decode().strip()
        if task:  # else the worker was killed before it had asked
            asked[task] += 1
            if asked.total() >= enough:
                progress.set()
            await asyncio.sleep(rng.uniform(0, 0.04))
            writer.write(b"ok\n")
        writer.close()

    async def until(count: int) -> None:
        nonlocal enough
        enough = count
        progress.clear()
        if asked.total() < count:
            await asyncio.wait_for(progress.wait(), 60)
        await asyncio.sleep(rng.uniform(0, 0.05))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "log.db"))
        arguments = [
            "-m",
            "benchmarks.run_many_crashes",
            "--drive",
            engine_name,
            path,
            str(port),
            str(runs),
        ]
        for attempt in range(2):
            program = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                str(_LEASE * attempt),
                stdout=asyncio.subprocess.PIPE,
            )
            assert program.stdout is not None
            while (await program.stdout.readline()).strip() != b"started":
                pass
            if attempt == 0:
                await until(rng.randint(runs // 10, runs // 4))
                worker = rng.choice(_workers(program.pid))
                os.kill(worker, signal.SIGKILL)
                more = asked.total() + rng.randint(runs // 10, runs // 4)
                await until(min(more, runs * 3 // 4))  # a call whose worker was killed never comes
                with suppress(ProcessLookupError):
                    program.kill()
                print(f"killed a worker and the program after {asked.total()} calls")
            rest = (await program.stdout.read()).decode().splitlines()
            await program.wait()
        done = [line for line in rest if line.startswith("done")]
        print("second program, runs by attempts:", *done)
        assert done, "the second program has failed"
        await _check(path, runs, asked)
    server.close()


async def _check(path: str, runs: int, asked: Counter[str]) -> None:
    attempts: Counter[int] = Counter()
    unknown = 0
    async with EventLog(SQLiteLogStore(path, Retention(runs=None))) as log:
        for number in range(runs):
            events: list[StreamEvent] = []
            last = ""
            async with rxagents.to_aiter(rxagents.from_log(log, f"run-{number}")) as entries:
                async for entry in entries:
                    events.append(entry.item)
                    last = entry.id
            answer = f"The answer of task {number} is whole."
            assert isinstance(events[-1], Complete), events[-1]
            assert events[-1].content == answer
            texts = _texts_of_turns(events)
            assert all(text in {answer, "", "I call the tool."} for text in texts), texts
            ends = [event for event in events if isinstance(event, ToolEnd)]
            assert ends, f"run-{number} has no tool"
            unknown += ends[-1].error is not None
            assert asked[f"task {number}"] <= 1
            attempts[int(last.partition("-")[0])] += 1
    print(f"{runs} runs completed; attempts in the log: {dict(attempts)}")
    print(f"{unknown} calls with an unknown outcome; calls that ran twice: 0")


def _texts_of_turns(events: list[StreamEvent]) -> list[str]:
    """Return the texts of the turns that are not void."""
    turns: list[str] = []
    for event in events:
        if isinstance(event, TurnStart):
            turns.append("")
        elif isinstance(event, Reset) and turns:
            turns = turns[:-1] if event.scope == "turn" else []
        elif isinstance(event, Token):
            turns[-1] += event.content
    return turns


def _workers(program: int) -> list[int]:
    """Return the ids of the worker processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if (parent == program and b"many_runs.child" in name) or name.startswith(b"ray::RayW"):
            found.append(int(folder.name))
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:
        _, _, given_engine, given_path, given_port, given_runs, given_ahead = sys.argv
        drive(given_engine, given_path, int(given_port), int(given_runs), float(given_ahead))
    else:
        parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
        parser.add_argument("--engine", choices=["processes", "ray"], default="processes")
        parser.add_argument("--runs", type=int, default=2000)
        parser.add_argument("--seed", type=int, default=7)
        options = parser.parse_args()
        asyncio.run(crash(options.engine, options.runs, random.Random(options.seed)))
