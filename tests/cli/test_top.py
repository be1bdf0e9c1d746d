"""`rxagents top`, in a process of its own, beside the process that it watches."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from inspecting import runtime_folder
from matrix import only_full
from observing import settle
from rich.text import Text

import rxagents
from rxagents import InspectedPipe, InspectedProbe, InspectedStage, Inspection
from rxagents import operators as ops
from rxagents.cli.top_client import Link, live_sockets
from rxagents.cli.top_view import SORTS, rows
from rxagents.runtime.inspect_folder import found_sockets
from rxagents.runtime.inspect_server import listen

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets"),
]

PROGRAM = """
import asyncio, sys, time
import rxagents
from rxagents import operators as ops

async def secrets():
    number = 0
    while True:
        yield f"secret {(number := number + 1)}"
        await asyncio.sleep(0.001)

async def slow(item):
    await asyncio.sleep(0.02)
    return item

async def main():
    stream = rxagents.from_aiter(secrets)
    for number in range(10):
        stream = stream.pipe(ops.map_async(slow, capacity=4)) if number == 6 else stream
        stream = stream.pipe(ops.probe(f"p{number}"))
    subscription = stream.subscribe(lambda _: None)
    await asyncio.sleep(0.4)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    time.sleep(float(sys.argv[1]))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    subscription.dispose()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with runtime_folder(monkeypatch) as folder:
        yield folder


@asynccontextmanager
async def watched(block: float = 0) -> AsyncIterator[Any]:
    """Run the program; a line of its input blocks its loop for some time, another one ends it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        str(block),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "RXAGENTS_INSPECT": "1", "PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    try:
        yield process
    finally:
        await process.communicate(b"\n\n")
        assert process.returncode == 0


async def test_slow_stage_of_another_process_is_named(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(item: str) -> str:
        await asyncio.sleep(0.02)
        return item

    async def secrets() -> AsyncIterator[str]:
        while True:
            yield "secret"
            await asyncio.sleep(0.001)

    monkeypatch.setenv("RXAGENTS_INSPECT", "1")
    stream = rxagents.from_aiter(secrets).pipe(
        ops.probe("a"), ops.map_async(slow, capacity=4), ops.probe("b")
    )
    subscription = stream.subscribe(lambda _: None)
    table = await run("top", "--once")
    assert table.out.startswith("slowest: a -> b (map_async), "), table
    assert "secret" not in table.out
    subscription.dispose()
    await settle()


@only_full
async def test_no_process_is_status_1(run: Any) -> None:
    done = await run("top", "1")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "Process 1 cannot be watched: start a program that has ops.probe" in done.err


@only_full
async def test_several_processes_want_a_choice(run: Any) -> None:
    async with watched() as one:
        listen()
        done, answer = await asyncio.gather(
            run("top", "--once"), run("top", "--json", "--items", str(one.pid))
        )
    assert done.status == 2
    assert f"{os.getpid()}, {one.pid}. Write rxagents top PID." in done.err
    assert [found.pid for found in found_sockets()] == [os.getpid()]
    snapshot = msgspec.json.decode(answer.out, type=Inspection)
    assert snapshot.pid == one.pid
    assert [probe.name for probe in snapshot.pipes[0].probes] == [f"p{n}" for n in range(10)]
    assert "secret" in (snapshot.pipes[0].probes[0].text or "")


async def test_dead_socket_is_removed(folder: Path) -> None:
    (folder / "rxagents").mkdir(mode=0o700)
    path = folder / "rxagents" / "1-dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    (folder / "rxagents" / "notes.txt").write_text("")
    (folder / "rxagents" / "no-pid.sock").write_text("")
    assert await live_sockets() == []
    assert sorted(each.name for each in path.parent.iterdir()) == ["no-pid.sock", "notes.txt"]


@only_full
async def test_blocked_process_answers_late_and_its_end_is_noticed() -> None:
    async with watched(block=0.5) as process:
        (found,) = await live_sockets()
        async with Link(found.path, items=False) as link:
            assert await link.ask(5)
            process.stdin.write(b"\n")
            assert await link.ask(0.1) + await link.ask(0.1) + await link.ask(0.1) < 3
            assert await link.ask(5)
            assert link.recent is not None
            assert link.recent.pid == process.pid
            process.stdin.write(b"\n")
            await process.wait()
            with pytest.raises(OSError, match=r"closed|reset|Broken"):
                while True:
                    await link.ask(5)


async def test_connection_that_ends_is_an_error(folder: Path) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    path = folder / "1-short.sock"
    async with await asyncio.start_unix_server(close, path):
        async with Link(path, items=False) as link:
            with pytest.raises(ConnectionResetError, match="closed the connection"):
                await link.ask(5)


@only_full
async def test_screen_is_updated_until_process_ends(at_terminal: Any) -> None:
    async with watched() as process:
        async with at_terminal("top", "--interval", "0.1", "--items") as terminal:
            await terminal.until(f"({process.pid}): 1 pipe, 10 probes")
            await terminal.until("in p5 -> p6 (map_async)")
            await terminal.until("secret")
            await terminal.until("q quit  s sort: age")
            terminal.type("s")
            await terminal.until("s sort: items")
            terminal.type("\t")
            await terminal.until("in p5 -> p6 (map_async)")
            process.stdin.write(b"\n\n")
            await terminal.until("Waiting for a process")
            terminal.type("q")
            assert await terminal.process.wait() == 0


def snapshot(pipes: int = 1, left_out: int = 0) -> Inspection:
    return Inspection(1, "app.py", 0.0, tuple(map(a_pipe, range(1, pipes + 1))), left_out)


def a_pipe(number: int) -> InspectedPipe:
    names = [f"read{number}", "a very long\nname of a probe, longer than a column", "日本"]
    probes = tuple(
        InspectedProbe(
            name=name,
            number=number,
            feeds=None,
            items=100 // number,
            rate=number,
            age=10.0 * number,
            first=0.1,
            idle=0.5,
            longest_gap=1.0,
            own=1.0,
            downstream=0.0,
            gated=0.0,
            blocked=0.0,
            buffered=None,
            last="str(4)",
            text="\x1b[31mred\n" * 40,
        )
        for name in names
    )
    spent = [1.0, 7.0, 1.0, 1.0]
    ends = zip(["source", *names], [*names, "subscriber"], spent, strict=True)
    stages = tuple(InspectedStage(after, before, own, own / 10) for after, before, own in ends)
    return InspectedPipe(probes, stages)


def lines(width: int, height: int = 50, sort: str = "age", **more: Any) -> list[str]:
    found = rows(snapshot(**more), width, height, sort)
    assert len(found) <= height
    assert all(isinstance(line, Text) and line.cell_len <= width for line in found)
    return [line.plain for line in found]


@pytest.mark.parametrize("width", [1, 10, 20, 39, 40, 59, 60, 79, 80, 100, 130, 200, 400])
def test_lines_fit_the_terminal(width: int) -> None:
    for line in lines(width, pipes=2):
        assert "\x1b" not in line
        assert "\n" not in line


def test_narrow_terminal_keeps_rate_and_share() -> None:
    head, pipe, *probes = lines(40)
    assert probes[-1].startswith("  (subscriber) ")
    assert head.split() == ["probe", "per", "s", "share"]
    assert pipe.startswith("#1 10.0 s  70% in read1 -> a very long")
    assert [line.split()[-1] for line in probes] == ["10%", "70%", "10%", "10%"]


def test_wide_terminal_has_all_columns() -> None:
    head = lines(200)[0].split()
    names = "probe items per s age first idle gap own share blocked buffer last item"
    assert head == names.split()


def test_rows_of_slowest_stage_are_marked() -> None:
    marked = [line.plain for line in rows(snapshot(), 80, 50, "age") if line.style == "bold yellow"]
    assert len(marked) == 1
    assert marked[0].startswith("  a very long name")


def test_pipes_without_room_are_counted() -> None:
    assert lines(80, 12, pipes=3, left_out=4)[-1].strip() == "5 more"
    assert lines(80, 3, pipes=3)[-1].strip() == "2 more"
    assert lines(80, 11, pipes=2)[-1].split()[0] == "(subscriber)"


@pytest.mark.parametrize(
    ("sort", "first"), [("age", 3), ("items", 1), ("rate", 3), ("idle", 1), ("blocked", 1)]
)
def test_pipes_are_sorted(sort: str, first: int) -> None:
    assert lines(80, sort=sort, pipes=3)[1].startswith(f"#{first} ")
    assert sort in SORTS
