"""Draw what a test expected and what it saw, one under the other.

Theory of operation. Both lines are drawn in one pass over the times at which something happens in
either, so that a column is the same time in both. A cell is as wide as the longer of its two texts:
`(ab|)` takes five columns, which are five frames in the syntax, if nothing else happens in these;
else spaces fill the shorter text, which have no meaning in the syntax. So either line can be copied
into the test, except where something happens inside of another group's room.
"""

from __future__ import annotations

import string
from typing import Any

from rxagents.testing.marbles.comparing import matches, shown
from rxagents.testing.marbles.diagram import Kind, Mark

_LONGEST_PAUSE = 12
"""Frames; a longer pause is drawn as a time."""

_LONGEST_VALUE = 500
"""Characters of a value or an error that are shown."""

_MARKS = {Kind.COMPLETED: "|", Kind.ERROR: "#"}


def difference(
    expected: tuple[Mark, ...], seen: list[Mark], place: int, errors: Any, frame: float
) -> str:
    """Return the message of a test that failed.

    Args:
        expected: What was drawn.
        seen: What the stream emitted.
        place: The number of the first mark that differs.
        errors: The expected error.
        frame: The seconds of one frame.
    """
    names, legend = _names(expected, seen)
    wanted = [(mark.frame, _MARKS.get(mark.kind, mark.name)) for mark in expected]
    found = [(mark.frame, name) for mark, name in zip(seen, names, strict=True)]
    when = min(marks[place][0] for marks in (wanted, found) if place < len(marks))
    upper, lower, column = _lines(wanted, found, when, frame)
    lines = [
        f"The stream differs from its marbles at {_time(when, frame)}: expected "
        f"{_described(wanted, place, frame)}, seen {_described(found, place, frame)}.",
        "",
        f"  expected  {upper}",
        f"  seen      {lower}",
        f"            {' ' * column}^",
        *(f"  {name} = {_cut(text)}" for name, text in legend.items()),
    ]
    if errors is not None and any(mark.kind is Kind.ERROR for mark in expected):
        lines.append(f"  expected # = {shown(errors)}")
    lines += [f"  seen # = {_cut(repr(mark.value))}" for mark in seen if mark.kind is Kind.ERROR]
    return "\n".join(lines)


def _cut(text: str) -> str:
    more = len(text) - _LONGEST_VALUE
    return text if more <= 0 else f"{text[:_LONGEST_VALUE]}… and {more} more characters"


def _names(expected: tuple[Mark, ...], seen: list[Mark]) -> tuple[list[str], dict[str, str]]:
    """Return a character for each mark that was seen, and what each character stands for."""
    values = {mark.name: mark.value for mark in expected if mark.kind is Kind.NEXT}
    legend = {
        name: shown(value) for name, value in values.items() if value not in (name, _int(name))
    }
    order = [mark.name for mark in expected]
    free = iter([*string.ascii_uppercase, *string.ascii_lowercase, *string.digits])
    names: list[str] = []
    for number, mark in enumerate(seen):
        if mark.kind is not Kind.NEXT:
            names.append(_MARKS[mark.kind])
            continue
        likely = [order[number]] if number < len(order) and order[number] in values else []
        name = next(
            (each for each in [*likely, *values] if matches(values[each], mark.value)), None
        )
        if name is None:
            text = shown(mark.value)
            name = next((each for each, known in legend.items() if known == text), None)
        if name is None and isinstance(mark.value, str) and len(mark.value) == 1:
            name = mark.value if mark.value.isalnum() and mark.value not in values else None
        if name is None:
            name = next((each for each in free if each not in values and each not in legend), "?")
            legend[name] = text
        names.append(name)
    return names, legend


def _int(name: str) -> object:
    return int(name) if name.isdecimal() else name


def _lines(
    wanted: list[tuple[float, str]], found: list[tuple[float, str]], when: float, frame: float
) -> tuple[str, str, int]:
    """Return both lines, and the column of the time `when`."""
    upper, lower, column = "", "", 0
    times = sorted({round(time, 3) for time, _ in [*wanted, *found]})
    now = 0.0
    for number, time in enumerate(times):
        pause = _pause(time - now, frame)
        upper += pause
        lower += pause
        if abs(time - when) < 1e-3:
            column = len(upper)
        cells = [_cell(marks, time) for marks in (wanted, found)]
        width = max(map(len, cells))
        room = times[number + 1] - time if number + 1 < len(times) else width
        is_whole = room >= width and time.is_integer()
        fill = "-" if is_whole and not all(cell == "" for cell in cells) else " "
        upper, lower = (
            line + cell.ljust(width, fill) for line, cell in zip((upper, lower), cells, strict=True)
        )
        now = time + (width if is_whole else min(room, 1))
    return upper.rstrip(), lower.rstrip(), column


def _cell(marks: list[tuple[float, str]], time: float) -> str:
    names = "".join(name for each, name in marks if round(each, 3) == time)
    return names if len(names) < 2 else f"({names})"


def _pause(frames: float, frame: float) -> str:
    if frames > _LONGEST_PAUSE:
        return f" {frames * frame:g}s "
    return "-" * int(frames + 1e-3)


def _described(marks: list[tuple[float, str]], place: int, frame: float) -> str:
    if place >= len(marks):
        return "nothing"
    time, name = marks[place]
    return f"{name} at {_time(time, frame)}"


def _time(frames: float, frame: float) -> str:
    return f"frame {round(frames, 3):g} ({round(frames * frame, 6):g} s)"
