"""`rxagents demo`, with its output in a pipe."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from child import started

pytestmark = pytest.mark.real_time


async def test_demo_answer_is_plain_text(run: Any) -> None:
    done = await run("demo", FORCE_COLOR="1")
    assert done.status == 0
    assert done.out.startswith("A leap year has 31,622,400 seconds.\n\nThis run is one Observable.")
    assert done.out.endswith("within milliseconds.\n")
    assert "\x1b" not in done.out


async def test_steps_and_summary_on_stderr(run: Any) -> None:
    aside = (await run("demo", NO_COLOR="1")).err
    assert aside.startswith("Task: How many seconds does a leap year have?\n\nthought: A leap year")
    assert 'tool: calculator {"expression":"366 * 24 * 60 * 60"}\nresult: 31622400\n\n' in aside
    assert re.search(
        r"\nfirst token after [\d.]+ m?s · 86 tokens in [\d.]+ s · \d+ tokens/s\n"
        r"usage: 420 input, 86 output, 506 total\n\Z",
        aside,
    )


async def test_demo_needs_no_network(run: Any) -> None:
    proxy = "http://127.0.0.1:9"
    assert (
        await run("demo", HTTP_PROXY=proxy, http_proxy=proxy, no_proxy="", NO_PROXY="")
    ).status == 0


async def test_demo_streams_tokens(start: Any) -> None:
    process = await start("demo")
    assert await process.stdout.readexactly(6) == b"A leap"
    assert process.returncode is None
    rest, _ = await process.communicate()
    assert rest.startswith(b" year")


def test_closed_pipe_prints_no_traceback(program: list[str]) -> None:
    pipe = subprocess.PIPE
    with started([*program, "demo"], stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(6) == b"A leap"
        process.stdout.close()
        assert process.stderr.read().endswith(b"That is the number.\n\n")
    assert process.returncode == 1
