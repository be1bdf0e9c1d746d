"""Ctrl-C and SIGTERM dispose the stream, close the connection and set the usual status."""

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

pytestmark = pytest.mark.real_time

STALLED = Reply("one two three", cut_after=3, ending=Ending.STALL)
BOTH = pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)


@BOTH
@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_signal_ends_stalled_answer(
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
async def test_signal_ends_demo(start: Any, number: signal.Signals, status: int) -> None:
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
def test_signal_without_stream_exits(
    stop: StopSignals, number: signal.Signals, status: int
) -> None:
    with pytest.raises(SystemExit) as exit_:
        signal.raise_signal(number)
    assert exit_.value.code == status


def test_signal_interrupts_blocked_write(stop: StopSignals) -> None:
    def write(_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the write was not interrupted")

    with pytest.raises(SystemExit, match="143"):
        stop.run(show(rx.of(StreamChunk("Hi")), nullcontext(write), stop))


def test_cancelled_work_can_clean_up(stop: StopSignals) -> None:
    steps = []

    async def work() -> None:
        with stop.at_once():
            steps.append("writes")
        signal.raise_signal(signal.SIGINT)
        steps.append("continues until it waits")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("closes")

    with pytest.raises(SystemExit, match="130"):
        stop.run(work())
    assert steps == ["writes", "continues until it waits", "closes"]


def test_second_signal_ends_process(stop: StopSignals) -> None:
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_cancellation_without_signal_is_raised(stop: StopSignals) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        stop.run(work())
