"""Parse marble strings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from rxagents.core.errors import ConfigurationError

_TIME = re.compile(r"(?:(?<=\s)|\A)(\d+(?:\.\d+)?)(ms|s|m)(?=\s|\Z)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Kind(StrEnum):
    """The kind of an event at a frame."""

    NEXT = "next"
    ERROR = "error"
    COMPLETED = "completed"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


_KINDS = {"|": Kind.COMPLETED, "#": Kind.ERROR, "^": Kind.SUBSCRIBE, "!": Kind.UNSUBSCRIBE}
_ENDS = {Kind.COMPLETED, Kind.ERROR, Kind.UNSUBSCRIBE}


class Mark(Struct, frozen=True):
    """One notification of a stream, as drawn or as seen.

    Attributes:
        frame: The time in frames; a whole number in a drawing without times such as `10ms`.
        kind: What happens.
        name: The character of an item that is drawn.
        value: The item, or the error.
    """

    frame: float
    kind: Kind
    name: str = ""
    value: Any = None


class Diagram(Struct, frozen=True):
    """A parsed marble string.

    Attributes:
        marks: What happens, in order.
        length: The frames that the string takes.
    """

    marks: tuple[Mark, ...]
    length: float

    def frame_of(self, kind: Kind) -> float | None:
        """Return the frame of the first mark of a kind."""
        return next((mark.frame for mark in self.marks if mark.kind is kind), None)


def parse(marbles: str, values: Mapping[str, Any], frame: float, allowed: str) -> Diagram:
    """Parse a marble string.

    Args:
        marbles: The string.
        values: The values of its items by their names; a name without one is its own value.
        frame: The seconds of one frame.
        allowed: The special characters that may stand in it.

    Raises:
        ConfigurationError: It is no marble string.
    """
    if not isinstance(marbles, str):
        raise ConfigurationError(f"marbles must be a str, not {type(marbles).__name__}.")
    marks: list[Mark] = []
    now, position, group = 0.0, 0, -1
    while position < len(marbles):
        character = marbles[position]
        if character.isspace():
            position += 1
            continue
        if time := _TIME.match(marbles, position):
            if group >= 0:
                raise _invalid(marbles, position, "a time cannot stand inside of brackets")
            now += float(time[1]) * _SECONDS[time[2]] / frame
            position = time.end()
            continue
        if character == "(":
            if group >= 0:
                raise _invalid(marbles, position, "brackets cannot stand inside of brackets")
            group = position
        elif character == ")":
            if group < 0:
                raise _invalid(marbles, position, "no bracket is open")
            now += len("".join(marbles[group : position + 1].split()))
            group = -1
        elif character == "-":
            if group >= 0:
                raise _invalid(marbles, position, "no time passes inside of brackets")
            now += 1
        else:
            if marks and marks[-1].kind in _ENDS:
                raise _invalid(marbles, position, "nothing can follow the end")
            marks.append(_mark(marbles, position, values, now, allowed))
            now += group < 0
        position += 1
    if group >= 0:
        raise _invalid(marbles, group, "the bracket is not closed")
    return Diagram(tuple(marks), now)


def _mark(marbles: str, position: int, values: Mapping[str, Any], now: float, allowed: str) -> Mark:
    character = marbles[position]
    if character.isalnum() and (not allowed or "|" in allowed):
        value = values.get(character, int(character) if character.isdecimal() else character)
        return Mark(now, Kind.NEXT, character, value)
    if character not in allowed:
        raise _invalid(marbles, position, f"{character!r} has no meaning here")
    return Mark(now, _KINDS[character])


def _invalid(marbles: str, position: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The marble string {marbles!r} is not valid at position {position}: {why}."
    )


def named_values(
    marbles: str, values: Mapping[str, Any] | None, named: Mapping[str, Any]
) -> dict[str, Any]:
    """Join the two ways to pass values.

    Raises:
        ConfigurationError: A name is not one character, or is not in the string.
    """
    joined = {**(values or {}), **named}
    for name in joined:
        if len(name) != 1 or not name.isalnum():
            raise ConfigurationError(f"{name!r} is no argument, and no item of a marble string.")
        if name not in marbles:
            raise ConfigurationError(f"The marble string {marbles!r} has no item {name!r}.")
    return joined


def checked_frame(frame: float) -> float:
    """Return the seconds of a frame.

    Raises:
        ConfigurationError: It is no number above 0.
    """
    if isinstance(frame, bool) or not isinstance(frame, (int, float)) or not frame > 0:
        raise ConfigurationError(f"frame must be a number of seconds above 0, not {frame!r}.")
    return frame
