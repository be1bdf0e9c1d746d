"""Test how docs/draw_marbles.py reads marble diagrams."""

from __future__ import annotations

import draw_marbles
import pytest
from marble_diagram import Diagram, Mark, colours, draw, marks, parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--a-b|", [Mark(2, 1, "a"), Mark(4, 1, "b"), Mark(5, 1, "|")]),
        ("--Token--#", [Mark(2, 5, "Token"), Mark(9, 1, "#")]),
        ("--(are you?)-|", [Mark(2, 10, "are you?"), Mark(13, 1, "|")]),
        ("--( x )-", [Mark(2, 5, " x ")]),
        ('-({"a": [1]})-', [Mark(1, 12, '{"a": [1]}')]),
        ("-(Pair(1, x))-", [Mark(1, 12, "Pair(1, x)")]),
        ("-(a-b | c)-", [Mark(1, 9, "a-b | c")]),
        ("-(d|)", [Mark(1, 2, "d"), Mark(3, 1, "|")]),
        ("-(d#)", [Mark(1, 2, "d"), Mark(3, 1, "#")]),
        ("-(1:a)(2:b)", [Mark(1, 5, "1:a"), Mark(6, 5, "2:b")]),
        ("    --a|", [Mark(6, 1, "a"), Mark(7, 1, "|")]),
    ],
    ids=["letters", "word", "spaces", "outer spaces", "brackets", "parentheses", "ends in text",
         "completed with item", "failed with item", "two at once", "late subscriber"],
)  # fmt: skip
def test_each_item_is_one_mark(line: str, expected: list[Mark]) -> None:
    assert list(marks(line)) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [("--a b-|", r"Column 3 .* put an item with spaces in"), ("--(a-|", "Column 2 .* not closed")],
    ids=["space", "open parenthesis"],
)
def test_malformed_timeline_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(marks(line))


def test_item_keeps_its_colour() -> None:
    colour_of = colours(["--a--(b c)--|", "[ any(--x--) ]", "--1:a--( b c)--d-|"])
    assert list(colour_of) == ["a", "b c", "d"]
    assert len(set(colour_of.values())) == 3


def test_picture_uses_one_colour_per_item() -> None:
    svg = draw(parse(["--a--b-|", "[ any() ]", "--a----|"])).as_svg()
    colour_of = colours(["--a--b-|"])
    assert svg.count(colour_of["a"]) == 2
    assert svg.count(colour_of["b"]) == 1


def test_notes_below_the_timelines_are_read() -> None:
    shown = parse(["--S-|", "time: 0.5 s per character", "legend: S = ToolStart"])
    assert shown == Diagram(["--S-|"], 0.5, "S = ToolStart")
    svg = draw(shown).as_svg()
    assert ">2.5 s<" in svg
    assert ">S = ToolStart<" in svg


def test_unknown_time_is_refused() -> None:
    with pytest.raises(ValueError, match="1 s per character"):
        parse(["--a-|", "time: one second"])


@pytest.mark.parametrize("name", draw_marbles.NAMES)
def test_diagram_of_operator_can_be_read(name: str) -> None:
    lines = draw_marbles.diagram(name).lines
    timelines = [list(marks(line)) for line in lines if not line.startswith("[ ")]
    assert len(timelines) == len(lines) - 1 >= 2
    assert any(timelines)


def test_every_group_has_operators() -> None:
    titles = [title for title, _ in draw_marbles.groups()]
    assert titles[0] == "Framing"
    assert "Types" not in titles
