"""Plain scripts."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap

import pytest
import reactivex as rx
from reactivex import operators as rx_ops

import rxagents


def test_it_calls_back_and_returns_the_last_value() -> None:
    seen: list[int] = []
    assert rxagents.run(rx.of(1, 2, 3), on_next=seen.append) == 3
    assert seen == [1, 2, 3]


def test_without_a_value_it_returns_none() -> None:
    assert rxagents.run(rx.empty()) is None


def test_it_raises_the_streams_error() -> None:
    with pytest.raises(KeyError):
        rxagents.run(rx.throw(KeyError("mine")))


def test_it_raises_what_the_callback_raises() -> None:
    async def endless():  # type: ignore[no-untyped-def]  # a generator of nothing in particular
        while True:
            yield 1
            await asyncio.sleep(0)

    with pytest.raises(ZeroDivisionError):
        rxagents.run(rxagents.from_aiter(endless), on_next=lambda number: number / 0)


def test_a_callback_that_would_have_to_be_awaited_is_refused() -> None:
    async def show(_: object) -> None:
        """Nobody would await this."""

    with pytest.raises(rxagents.ConfigurationError, match=r"plain function.*map_async"):
        rxagents.run(rx.of(1), on_next=show)


def test_time_operators_use_its_loop() -> None:
    assert rxagents.run(rx.timer(0.001).pipe(rx_ops.map(lambda _: "late"))) == "late"


def test_inside_a_loop_it_is_refused() -> None:
    async def inside() -> None:
        rxagents.run(rx.of(1))

    with pytest.raises(rxagents.ConfigurationError, match="to_aiter"):
        asyncio.run(inside())


def test_it_takes_observables_only() -> None:
    with pytest.raises(rxagents.ConfigurationError):
        rxagents.run([1])  # type: ignore[arg-type]  # what the test is about


def test_ctrl_c_closes_the_stream_and_raises_keyboard_interrupt() -> None:
    script = """
        import rxagents

        async def endless():
            try:
                yield "started"
                import asyncio
                await asyncio.Event().wait()
            finally:
                print("closed", flush=True)

        try:
            rxagents.run(rxagents.from_aiter(endless), on_next=lambda item: print(item, flush=True))
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "closed\ninterrupted\n"
    assert process.returncode == 0


def test_a_callback_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="on_next must be a function"):
        rxagents.run(rx.of(1), "print")  # type: ignore[arg-type]  # that is the point
