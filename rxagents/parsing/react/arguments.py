"""Makes named arguments of what a model wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rxagents.parsing.react.literals import read_value

NOTHING = frozenset({"none", "null", "n/a"})
"""Words for no action and for no input."""

_NAMED = re.compile(r"\s*+([\w-]++)\s*+=(?!=)")
_ONLY_PARAMETER = "input"


def from_call(text: str, commas: Sequence[int], parameters: Sequence[str]) -> dict[str, Any]:
    """Read what stands between the parentheses of a call.

    Values without names come first and are named by `parameters` in order; if there are more of
    them than parameters, they are one text, commas and all. After a named value, a comma that no
    name follows belongs to it: `city=Paris, France` is one value.

    Args:
        text: The text between the parentheses.
        commas: Where in it commas stand that may separate arguments.
        parameters: The names of the tool's parameters, as far as they are known.
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
        values.pop()  # after a last comma, or nothing at all
    if len(values) > max(len(parameters), 1):
        values = [",".join(values)]
    read = [read_value(value) for value in values]
    if is_all and len(read) == 1 and isinstance(read[0], dict):
        return read[0]
    return dict(zip(parameters or [_ONLY_PARAMETER], read, strict=False))


def _without_comma(value: str) -> str:
    return value.rstrip().removesuffix(",")


def from_text(text: str, parameters: Sequence[str]) -> dict[str, Any]:
    """Read an input that is one text: the value of the first parameter.

    A quoted text loses its quotes, and a list is a list. What looks like a number stays text:
    a tool that wants a number can convert it, and one that wants text cannot.
    """
    text = text.strip()
    if not text or text.lower() in NOTHING:
        return {}
    value = read_value(text) if text[0] in "\"'[" else text
    return {parameters[0] if parameters else _ONLY_PARAMETER: value}
