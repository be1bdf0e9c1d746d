"""Convert the text of an action's arguments to named arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rxagents.parsing.react.literals import read_value

NOTHING = frozenset({"none", "null", "n/a"})
"""Words that stand for no action or no input."""

_NAMED = re.compile(r"\s*+([\w-]++)\s*+=(?!=)")
_ONLY_PARAMETER = "input"


def from_call(text: str, commas: Sequence[int], parameters: Sequence[str]) -> dict[str, Any]:
    """Parse the text between the parentheses of a call.

    Positional values come first and get the names of `parameters` in order; if there are more
    values than parameters, they form one text, commas included. After a named value, a comma
    that no name follows is part of the value: `city=Paris, France` is one value.

    Args:
        text: The text between the parentheses.
        commas: The positions of the commas that may separate arguments.
        parameters: The names of the tool's parameters; empty if the tool is unknown.
    """
    starts = [0, *(comma + 1 for comma in commas)]
    names = {start: match for start in starts if (match := _NAMED.match(text, start))}
    cuts = [*names, len(text) + 1]
    named: dict[str, Any] = {}
    for start, end in pairwise(cuts):
        value = text[names[start].end() : end - 1]
        named[names[start][1]] = read_value(value if end <= len(text) else _without_comma(value))
    first = cuts[0]
    values = [text[a : b - 1] for a, b in pairwise([s for s in starts if s < first] + [first])]
    return _unnamed(values, [p for p in parameters if p not in named], is_all=not named) | named


def _unnamed(values: list[str], parameters: list[str], *, is_all: bool) -> dict[str, Any]:
    if values and not values[-1].strip():
        values.pop()  # a trailing comma, or no values at all
    if len(values) > max(len(parameters), 1):
        values = [",".join(values)]
    read = [read_value(value) for value in values]
    if is_all and len(read) == 1 and isinstance(read[0], dict):
        return read[0]
    return dict(zip(parameters or [_ONLY_PARAMETER], read, strict=False))


def _without_comma(value: str) -> str:
    return value.rstrip().removesuffix(",")


def from_text(text: str, parameters: Sequence[str]) -> dict[str, Any]:
    """Parse an input that is one text, the value of the first parameter.

    Quotes are removed, and a list is parsed. A number stays text: the conversion of arguments
    can turn text into a number for a tool that takes one, but not a number into the same text.
    """
    text = text.strip()
    if not text or text.lower() in NOTHING:
        return {}
    value = read_value(text) if text[0] in "\"'[" else text
    return {parameters[0] if parameters else _ONLY_PARAMETER: value}
