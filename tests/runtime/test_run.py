"""Run one Observable in a plain script."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import reactivex as rx
from child import started
from reactivex import operators as rx_ops

import rxagents
from rxagents import ConfigurationError, FunctionAgent
from rxagents import operators as ops
from rxagents.testing import ScriptedLLM


def test_run_returns_the_last_value() -> None:
    seen: list[int] = []
    assert rxagents.run(rx.of(1, 2, 3), on_next=seen.append) == 3
    assert seen == [1, 2, 3]


def test_result_needs_no_check_for_none() -> None:
    response = rxagents.run(ScriptedLLM("Hello").chat_stream("Hi").pipe(ops.collect()))
    assert response.content == "Hello"  # also what mypy is to accept


def test_run_of_nothing_returns_none() -> None:
    assert rxagents.run(rx.empty()) is None


def test_run_raises_the_streams_error() -> None:
    with pytest.raises(KeyError):
        rxagents.run(rx.throw(KeyError("mine")))


def test_run_raises_the_callbacks_error() -> None:
    async def endless():  # type: ignore[no-untyped-def]  # its type does not matter
        while True:
            yield 1
            await asyncio.sleep(0)

    with pytest.raises(ZeroDivisionError):
        rxagents.run(rxagents.from_aiter(endless), on_next=lambda number: number / 0)


def test_coroutine_function_is_refused() -> None:
    async def show(_: object) -> None:
        """Return a coroutine that nobody awaits."""

    with pytest.raises(rxagents.ConfigurationError, match=r"plain function.*map_async"):
        rxagents.run(rx.of(1), on_next=show)


def test_time_operators_use_runs_loop() -> None:
    assert rxagents.run(rx.timer(0.001).pipe(rx_ops.map(lambda _: "late"))) == "late"


def test_run_inside_a_loop_is_refused() -> None:
    async def inside() -> None:
        rxagents.run(rx.of(1))

    with pytest.raises(rxagents.ConfigurationError, match=r"await stream.*to_aiter"):
        asyncio.run(inside())


def test_run_takes_observables_only() -> None:
    with pytest.raises(rxagents.ConfigurationError):
        rxagents.run([1])  # type: ignore[arg-type]  # what the test is about


def test_coroutine_names_asyncio_run() -> None:
    answer = rxagents.get_model("scripted:").chat("Hi")
    with pytest.raises(rxagents.ConfigurationError, match=r"chat\(…\).*asyncio\.run"):
        rxagents.run(answer)  # type: ignore[arg-type]  # what the test is about


def test_ctrl_c_closes_the_stream() -> None:
    script = """
        import signal
        import rxagents

        signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may ignore it

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
    with started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b"closed\ninterrupted\n"
    assert process.returncode == 0


def test_on_next_must_be_a_function() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="on_next must be a function"):
        rxagents.run(rx.of(1), "print")  # type: ignore[arg-type]  # what the test is about


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (FunctionAgent(ScriptedLLM()), r"not FunctionAgent. Write run\(….run_stream\(…\)\)."),
        (ScriptedLLM(), r"not ScriptedLLM. Write run\(….chat_stream\(…\)\)."),
        ("text", "not str.$"),
    ],
    ids=["agent", "model", "text"],
)
def test_run_names_the_stream_of_agent_or_model(source: Any, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        rxagents.run(source)
