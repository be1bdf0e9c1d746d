"""`rxagents demo`, with its output in a pipe, and its picture."""

from __future__ import annotations

import html
import re
import subprocess
from typing import Any

import draw_demo
import pytest
from child import started
from matrix import only_full

pytestmark = pytest.mark.real_time


@only_full
async def test_answers_are_plain_text(run: Any) -> None:
    done = await run("demo", FORCE_COLOR="1")
    assert done.status == 0
    agent, story, race = done.out.split("\n", 2)
    assert agent == "A leap year has 31,622,400 seconds, 86,400 more than a common year."
    assert story.startswith("Once upon a time there was a model")
    assert len(story) < 500
    assert race == (
        "Air scatters blue light more than red light. So blue reaches your eyes from all sides.\n"
    )
    assert "\x1b" not in done.out


async def test_three_acts_on_stderr(run: Any) -> None:
    aside = (await run("demo", NO_COLOR="1", COLUMNS="100")).err
    assert 'tool: calculator {"expression":"366 * 24 * 60 * 60"}\nresult: 31622400\n\n' in aside
    assert re.search(
        r"\nfirst token after [\d.]+ m?s · 49 tokens in [\d.]+ s · \d+ tokens/s\n"
        r"usage: 420 input, 49 output, 469 total\n",
        aside,
    )
    assert re.search(r"dispose\(\): the server saw the close after \d+\.\d ms\.\n", aside)
    assert re.search(r"saw the close \d+\.\d ms after the\s+first word\.\n", aside)
    assert aside.rstrip().splitlines()[-1].startswith("rxagents ask --help ")


@only_full
async def test_code_is_shown_beside_its_meaning(run: Any) -> None:
    for columns in ("80", "200"):
        aside = (await run("demo", NO_COLOR="1", COLUMNS=columns)).err
        code = [
            "events = agent.run_stream(TASK)         nothing",
            'story = llm.chat_stream("Tell me a story.")   one',
            "    ops.split_sentences(),        each",
        ]
        for line in code:
            assert line in aside
        assert "noqa" not in aside


@only_full
async def test_demo_needs_no_network(run: Any) -> None:
    proxy = "http://127.0.0.1:9"
    assert (
        await run("demo", HTTP_PROXY=proxy, http_proxy=proxy, no_proxy="", NO_PROXY="")
    ).status == 0


@only_full
async def test_demo_streams_tokens(start: Any) -> None:
    process = await start("demo")
    assert await process.stdout.readexactly(6) == b"A leap"
    assert process.returncode is None
    rest, _ = await process.communicate()
    assert rest.startswith(b" year")


@only_full
@pytest.mark.parametrize("words", [b"A leap", b"Once upon", b"Air "])
def test_closed_pipe_prints_no_traceback(program: list[str], words: bytes) -> None:
    pipe = subprocess.PIPE
    with started([*program, "demo"], stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        seen = b""
        while not seen.endswith(words):
            seen += process.stdout.read(1)
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 1


def test_picture_shows_the_demo() -> None:
    """The picture of the docs is drawn again when the demo changes; only its times differ."""
    drawn = draw_demo.FILE.read_text("utf-8")
    assert text_of(drawn) == text_of(draw_demo.picture(draw_demo.recorded()))
    assert "font-face" not in drawn, "the picture loads nothing"


def text_of(svg: str) -> str:
    """Return the texts of a picture, without what depends on time."""
    texts = [html.unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", svg)]
    shown = " ".join(" ".join(texts).split())
    shown = re.sub(r"except for.*|(?<=Once upon a time ).*?(?=subscription)", "", shown)
    return re.sub(r"[\d.]+ (m?s|tokens/s)", "N", shown)
