"""`rxagents demo`, into a pipe."""

from __future__ import annotations

import re
import subprocess
from typing import Any


def test_the_answer_is_plain_text(run: Any) -> None:
    done = run("demo", FORCE_COLOR="1")
    assert done.status == 0
    assert done.out.startswith("rxagents turns every LLM stream into an Observable")
    assert done.out.endswith("shows your key.\n")
    assert "\x1b" not in done.out


def test_the_summary_goes_to_stderr(run: Any) -> None:
    done = run("demo")
    words = len(done.out.split())
    assert re.fullmatch(
        rf"\nfirst token after [\d.]+ m?s · {words} tokens in [\d.]+ s · \d+ tokens/s\n"
        rf"usage: 12 input, {words} output, {words + 12} total\n",
        done.err,
    )


def test_it_needs_no_network(run: Any) -> None:
    proxy = "http://127.0.0.1:9"
    assert run("demo", HTTP_PROXY=proxy, http_proxy=proxy, no_proxy="", NO_PROXY="").status == 0


def test_tokens_come_before_the_end(start: Any, run_async: Any) -> None:
    async def check() -> None:
        process = await start("demo")
        assert await process.stdout.readexactly(8) == b"rxagents"
        assert process.returncode is None
        rest, _ = await process.communicate()
        assert rest.startswith(b" turns")

    run_async(check())


def test_a_reader_that_leaves_gets_no_traceback(program: list[str]) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([*program, "demo"], stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(8) == b"rxagents"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
