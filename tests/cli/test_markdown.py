"""Markdown that is rendered line by line."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rxagents import Reasoning, StreamChunk, Token, TurnStart
from rxagents.cli.terminal import Screen, drawn, print_markdown

pytestmark = pytest.mark.real_time


def console(width: int = 40, *, colour: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        height=10,
        force_terminal=colour,
        color_system="standard" if colour else None,
        _environ={},
    )


def text_of(used: Console) -> str:
    assert isinstance(used.file, io.StringIO)
    return used.file.getvalue()


def rendered(markdown: str, width: int = 40, *, colour: bool = False) -> str:
    used = console(width, colour=colour)
    print_markdown(used, markdown)
    return text_of(used)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("# A *title*", "A title"),
        ("a **bold** `code` ~~gone~~", "a bold code gone"),
        ("see [here](https://a.b/c)", "see here (https://a.b/c)"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("![a cat](cat.png)", "a cat (cat.png)"),
        ("<div>kept &amp; shown</div>", "<div>kept & shown</div>"),
        ("- one\n  * two\n10. ten", "• one\n  • two\n10. ten"),
        ("> said\n> > twice", "▌ said\n▌ ▌ twice"),
        ("***", "─" * 40),
        ("**never closed", "**never closed"),
        ("```py\nx = '**a**'\n```", "```py\nx = '**a**'\n```"),
        ("````\n```\n````\n*a*", "````\n```\n````\na"),
        ("    indented = '*'", "    indented = '*'"),
        ("- item\n\n    *goes on*", "• item\n\n    goes on"),
        ("| a |\nno table", "| a |\nno table"),
    ],
)
def test_constructs(markdown: str, shown: str) -> None:
    assert rendered(markdown).rstrip("\n") == shown


def test_items_hang_below_their_text() -> None:
    rows = rendered("12. one two three four five", 12).splitlines()
    assert rows == ["12. one two", "    three", "    four", "    five"]


def test_table_has_columns() -> None:
    rows = [row.split() for row in rendered("| a | b |\n|---|--:|\n| 1 | `x\\|y` |\n").splitlines()]
    assert [row for row in rows if row and "─" not in row[0]] == [["a", "b"], ["1", "x|y"]]


def test_table_that_is_too_wide_stays_as_written() -> None:
    table = f"| a |\n|---|\n| {'x' * 60} |"
    assert rendered(table) == table + "\n"


def test_emphasis_is_styled() -> None:
    assert rendered("**bold** `code`", colour=True) == "\x1b[1mbold\x1b[0m \x1b[36mcode\x1b[0m\n"


TEXT = (
    "# Title\n\nSome **bold words** that are wrapped at the end of a row.\n\n- one\n- two\n\n"
    "```python\nx = 1\n\ty = 2\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe end of it"
)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_pieces_render_like_whole_text(size: int) -> None:
    used = console(20)
    with drawn(used, markdown=True) as show:
        for start in range(0, len(TEXT), size):
            show(StreamChunk(TEXT[start : start + size]))
    assert text_of(used) == rendered(TEXT.replace("\t", "    "), 20)


def test_answer_after_thought_is_labelled() -> None:
    used = console()
    with drawn(used, markdown=True) as show:
        show(Reasoning("I think"))
        show(Reasoning(" hard."))
        show(Token("It is *so*."))
    assert text_of(used) == "thought: I think hard.\n\nanswer:\nIt is so.\n"


def test_answers_of_two_turns_are_apart() -> None:
    used = console()
    with drawn(used, markdown=True) as show:
        for item in (TurnStart(1), Token("One."), TurnStart(2), Token("Two.")):
            show(item)
    assert text_of(used) == "One.\n\nanswer:\nTwo.\n"


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("twelve_chars " * 11 + "*end*", "twelve_chars end"),
        ("*many* words " * 100 + "*end*", "*end*"),
    ],
    ids=["rows", "characters"],
)
def test_open_line_is_drawn_within_screen(line: str, last: str) -> None:
    """A line that is longer than the screen shows its end, and is not parsed again and again.

    `Live` cannot draw above the screen.
    """
    used = console(20)
    screen = Screen(used, markdown=True)
    screen.show(StreamChunk(line))
    used.print(screen)
    rows = text_of(used).splitlines()
    assert len(rows) <= 10
    assert rows[-2].endswith(last)


def test_cost_of_a_line_does_not_grow_with_text() -> None:
    used = console()
    screen = Screen(used, markdown=True)
    for number in range(3):
        screen.show(StreamChunk(f"line {number}\n"))
        assert text_of(used).count("line") == number + 1, "each line is printed once"
