"""Convert the text of an action's arguments to named arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from rxagents.parsing.react.brackets import Brackets
from rxagents.parsing.react.literals import read_object, read_value
from rxagents.parsing.react.markup import without_backticks, without_stray_fence

Arguments: TypeAlias = dict[str, Any] | str
"""Named arguments, or the text of an object that is not readable: `ToolCall.parse` refuses it."""

NOTHING = frozenset({"none", "null", "n/a"})
"""Words that stand for no action or no input."""

_NAMED = re.compile(
    r"""\s*+(?P<quote>["'`]?+)(?P<name>[\w-]++)(?P=quote)\s*+(?::|(?P<equals>=)(?!=))"""
)
_OBJECT_START = re.compile(
    r"""[`"'\s]*+(?:json\s++)?+\{(?:\s|\\n)*+\\?["'][\w .-]{1,100}+\\?["']\s*+:""", re.IGNORECASE
)
"""The start of an object up to its first key, in whatever markup."""
ONLY_PARAMETER = "input"
"""The name of the argument of a tool whose parameters are unknown."""


def from_call(text: str, commas: Sequence[int], parameters: Sequence[str]) -> Arguments:
    """Parse the text between the parentheses of a call.

    Positional values come first and get the names of `parameters` in order; if there are more
    values than parameters, they form one text, commas included. After a named value, a comma
    that no name follows is part of the value: `city=Paris, France` is one value. A name with a
    colon or in quotes counts only if it is one of `parameters`, because values contain colons.

    Args:
        text: The text between the parentheses.
        commas: The positions of the commas that may separate arguments.
        parameters: The names of the tool's parameters; empty if the tool is unknown.
    """
    starts = [0, *(comma + 1 for comma in commas)]
    names: dict[int, re.Match[str]] = {}
    read = 0
    for start in starts:
        if start >= read and (match := _name_at(text, start, parameters)):
            names[start] = match
            read = match.end()
    cuts = [*names, len(text) + 1]
    named: dict[str, Any] = {}
    for start, end in pairwise(cuts):
        value = text[names[start].end() : end - 1]
        named[names[start]["name"]] = _read_value(
            value if end <= len(text) else _without_comma(value)
        )
    first = cuts[0]
    values = [text[a : b - 1] for a, b in pairwise([s for s in starts if s < first] + [first])]
    unnamed = _unnamed(values, [p for p in parameters if p not in named], is_all=not named)
    return unnamed if isinstance(unnamed, str) else unnamed | named


def _name_at(text: str, at: int, parameters: Sequence[str]) -> re.Match[str] | None:
    """Match the name of an argument and the mark after it."""
    match = _NAMED.match(text, at)
    if match is None or match["name"] in parameters:
        return match
    return match if match["equals"] and not match["quote"] else None


def _unnamed(values: list[str], parameters: list[str], *, is_all: bool) -> Arguments:
    if values and not values[-1].strip():
        values.pop()  # a trailing comma, or no values at all
    if len(values) > max(len(parameters), 1):
        values = [",".join(values)]
    read = [_read_value(value) for value in values]
    if is_all and len(read) == 1:
        whole = _object_in(read[0])
        whole = _named(values[0].strip(), parameters) if whole is None else whole
        if whole is not None:
            return whole
    return dict(zip(parameters or [ONLY_PARAMETER], read, strict=False))


def _read_value(text: str) -> Any:
    return read_value(without_backticks(text))


def _object_in(value: Any) -> Arguments | None:
    """Return the object that `value` is or contains as text; `None` for any other value."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        fields = read_object(value)
        value = value if fields is None else fields
    if isinstance(value, dict) or (isinstance(value, str) and _OBJECT_START.match(value)):
        return value
    return None


def _without_comma(value: str) -> str:
    return value.rstrip().removesuffix(",")


def from_text(text: str, parameters: Sequence[str]) -> Arguments:
    """Parse an input that is one text, the value of the first parameter.

    Code fences, backticks and quotes around it are removed, and a list is parsed. An object, also
    one in quotes, and `name=value` or `name: value` for names in `parameters`, separated by commas
    or line ends, are the arguments. A number stays text: the conversion of arguments can turn text
    into a number for a tool that takes one, but not a number into the same text.
    """
    text = without_backticks(without_stray_fence(text))
    if not text or text.lower() in NOTHING:
        return {}
    value = read_value(text) if text[0] in "\"'[{" else text
    whole = _object_in(value)
    if whole is not None:
        return whole
    named = _named(text, parameters)
    return {parameters[0] if parameters else ONLY_PARAMETER: value} if named is None else named


def _named(text: str, parameters: Sequence[str]) -> Arguments | None:
    """Parse named values, also in brackets; return `None` if `text` does not start with a name."""
    inner = text[1:-1] if text[:1] + text[1:][-1:] in {"()", "{}"} else text
    match = _NAMED.match(inner)
    if match is None or match["name"] not in parameters:
        return None
    brackets = Brackets("(")
    if brackets.feed(inner + ")") == len(inner) + 1:
        return from_call(inner, sorted(brackets.commas + brackets.newlines), parameters)
    # Quotes or brackets do not match: the commas between them cannot be found.
    return from_call(inner, (), parameters) if inner is text else None
