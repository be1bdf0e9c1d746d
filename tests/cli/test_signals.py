"""Ctrl-C and SIGTERM: the stream is disposed, the connection closed, the status customary."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import reactivex as rx

from rxagents import StreamChunk
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.testing import Ending, Reply, ScriptedServer

STALLED = Reply("one two three", cut_after=3, ending=Ending.STALL)
BOTH = pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)


@BOTH
@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_a_stalled_answer_is_left(
    start: Any, number: signal.Signals, status: int, options: list[str]
) -> None:
    async with ScriptedServer(STALLED) as server:
        model = ("--model", "openai:any", "--base-url", server.url)
        process = await start("ask", "Hi", *model, *options)
        await process.stdout.readuntil(b"two")
        process.send_signal(number)
        await server.disconnected()
        _, err = await process.communicate()
        assert (process.returncode, err) == (status, b"")


@BOTH
async def test_the_demo_ends_too(start: Any, number: signal.Signals, status: int) -> None:
    process = await start("demo")
    await process.stdout.readuntil(b"A leap year")
    process.send_signal(number)
    _, err = await process.communicate()
    assert process.returncode == status
    assert err.endswith(b"That is the number.\n\n")


@pytest.fixture
def stop() -> Iterator[StopSignals]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = StopSignals()
    stop.install()
    yield stop
    for number, handler in handlers.items():
        signal.signal(number, handler)


@BOTH
def test_without_a_stream_it_ends_where_it_is(
    stop: StopSignals, number: signal.Signals, status: int
) -> None:
    with pytest.raises(SystemExit) as exit_:
        signal.raise_signal(number)
    assert exit_.value.code == status


def test_a_write_that_blocks_is_interrupted(stop: StopSignals) -> None:
    def write(_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it still waits for its reader")

    with pytest.raises(SystemExit, match="143"):
        stop.run(show(rx.of(StreamChunk("Hi")), nullcontext(write), stop))


def test_the_work_ends_in_its_own_time(stop: StopSignals) -> None:
    steps = []

    async def work() -> None:
        with stop.at_once():
            steps.append("writes")
        signal.raise_signal(signal.SIGINT)
        steps.append("goes on to where it waits")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("closes")

    with pytest.raises(SystemExit, match="130"):
        stop.run(work())
    assert steps == ["writes", "goes on to where it waits", "closes"]


def test_a_second_signal_ends_the_process(stop: StopSignals) -> None:
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_work_that_cancels_itself_is_no_signal(stop: StopSignals) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        stop.run(work())
