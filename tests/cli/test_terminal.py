"""The rows that are drawn in a terminal."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator

import pytest
from child import started
from matrix import only_full
from rich.console import Console

from rxagents import StreamChunk
from rxagents.cli.terminal import drawn
from rxagents.testing import Reply, ScriptedServer

pytestmark = pytest.mark.real_time

TEXT = (
    "Some words of an answer, with a   gap and 漢字も混ざっている文章です、and\n\n"
    "  a row that is indented\n" + "averylongword" * 5 + " end. \N{PARTY POPPER} Ends here   so.\n"
)


@pytest.mark.parametrize("width", [10, 17, 40, 200])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_rows_wrap_like_whole_text(width: int, size: int) -> None:
    pieces = [TEXT[start : start + size] for start in range(0, len(TEXT), size)]
    assert rows(draw(width, pieces)) == rows(draw(width, [TEXT]))


def test_rows_end_between_words() -> None:
    assert rows(draw(17, [TEXT]))[:5] == [
        "Some words of an",
        "answer, with a",
        "gap and",
        "漢字も混ざってい",
        "る文章です、and",
    ]


def test_long_url_is_one_row() -> None:
    url = "https://example.com/" + "a" * 100
    assert rows(draw(30, [f"See {url[:50]}", f"{url[50:]} for more."])) == ["See", url, "for more."]
    assert rows(draw(30, [f"- See <{url}> for more.\n"], markdown=True)) == [
        "• See",
        f"  {url}",
        "  for more.",
    ]


def draw(width: int, pieces: list[str], *, markdown: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width)
    with drawn(console, markdown=markdown) as show:
        for piece in pieces:
            show(StreamChunk(piece))
    return written(console)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(text: str) -> list[str]:
    return [row.rstrip() for row in text.splitlines()]


def test_white_space_at_row_end_stays() -> None:
    assert rows(draw(10, ["four tencharact ", "end"])) == ["four", "tencharact", "end"]


def test_full_row_is_printed_once() -> None:
    console = Console(file=io.StringIO(), width=10)
    with drawn(console) as show:
        show(StreamChunk("four four fo"))
        assert rows(written(console)) == ["four four"]
        show(StreamChunk("ur"))
    assert rows(written(console)) == ["four four", "four"]


def test_tabs_become_spaces() -> None:
    assert draw(40, ["if x:\n", "\treturn"]) == "if x:\n    return\n"


def test_text_before_failure_stays() -> None:
    console = Console(file=io.StringIO(), width=40)
    with pytest.raises(KeyError), drawn(console) as show:
        show(StreamChunk("Half"))
        raise KeyError
    assert written(console) == "Half\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
async def test_kinds_are_styled_at_terminal(program: list[str]) -> None:
    reply = Reply("Text.", reasoning="Thought.", refusal="Refusal.", finish_reason="length")
    async with ScriptedServer(reply) as server:
        model = ("--model", "openai:any", "--base-url", server.url)
        screen = await asyncio.to_thread(at_terminal, [*program, "ask", "Hi", *model])
        assert "\x1b[1;2mthought: \x1b[0m\x1b[2mThought." in screen
        assert "\x1b[31mRefusal." in screen
        assert "\x1b[1;2manswer:\x1b[0m\r\n" in screen
        assert "Text.\r\n" in screen
        assert "\x1b[33mfinish reason: length" in screen
        assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l"), "no cursor"


@only_full
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        (["-"], b"Hello?\n\x04", "Type the prompt, then Enter and Ctrl-D:"),
        ([], b"", "The prompt is empty: pass PROMPT"),
    ],
    ids=["dash", "no-prompt"],
)
def test_prompt_at_terminal(
    program: list[str], arguments: list[str], typed: bytes, words: str
) -> None:
    screen = at_terminal([*program, "ask", "-m", "scripted:Fine.", *arguments], typed)
    assert words in screen
    assert ("Fine." in screen) == bool(typed)


@only_full
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_dumb_terminal_gets_plain_text(program: list[str]) -> None:
    screen = at_terminal([*program, "ask", "-m", "scripted:Fine.", "Hi"], TERM="dumb")
    assert screen == "Fine.\r\n"


def at_terminal(command: list[str], typed: bytes = b"", **changes: str) -> str:
    terminal, end = os.openpty()
    os.write(terminal, typed)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", **changes}
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        environment.pop(name, None)
    with started(command, stdin=end, stdout=end, stderr=end, env=environment):
        os.close(end)
        screen = b"".join(read(terminal))
    os.close(terminal)
    return screen.decode()


def read(terminal: int) -> Iterator[bytes]:
    try:
        while data := os.read(terminal, 4096):
            yield data
    except OSError:
        """Linux raises this when the other end is closed."""
