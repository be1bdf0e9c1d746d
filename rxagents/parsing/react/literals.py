"""Parse values as models write them: JSON, Python literals, or words without quotes."""

from __future__ import annotations

import math
import re
from typing import Any

from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.parsing.react.quoting import body_end, quote_at, unescape

_MAX_DEPTH = DEFAULT_LIMITS.json_depth - 1  # the object of the arguments is a level too
_BLANKS = re.compile(r"\s*")
_BARE = re.compile(r"[^,\[\]{}]+")
_BARE_KEY = re.compile(r"[^,:\[\]{}]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MAX_DIGITS = 4300
"""Python parses no integer with more digits (`sys.get_int_max_str_digits`)."""
_CONSTANTS = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
}


def read_value(text: str) -> Any:
    """Parse a value; text that is not one complete value stays text."""
    try:
        return _LiteralParser(text).whole()
    except ValueError:
        return text.strip()


def read_object(text: str) -> dict[str, Any] | None:
    """Parse an object; return `None` if `text` is not one."""
    value = read_value(text)
    return value if isinstance(value, dict) else None


class _LiteralParser:
    """Parses one value; invalid text raises `ValueError`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Any:
        value = self._value(0)
        if self._peek():
            raise ValueError("text after the value")
        return value

    def _peek(self) -> str:
        """Skip blanks; return the next character, empty at the end."""
        self._match(_BLANKS)
        return self._text[self._at : self._at + 1]

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError("unexpected character")
        self._at = match.end()
        return match[0]

    def _match_mark(self, mark: str) -> bool:
        found = self._peek() == mark
        self._at += found
        return found

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        first = self._peek()
        if first in ('"', "'"):
            return self._string()
        if first == "[":
            return self._list(depth + 1)
        if first == "{":
            return self._object(depth + 1)
        return _scalar(self._match(_BARE).strip())

    def _string(self) -> str:
        quote = quote_at(self._text, self._at) or self._text[self._at]
        start = self._at + len(quote)
        end = body_end(self._text, start, quote)
        if not self._text.startswith(quote, end):
            raise ValueError("unclosed string")
        self._at = end + len(quote)
        return unescape(self._text[start:end])

    def _list(self, depth: int) -> list[Any]:
        self._at += 1
        items: list[Any] = []
        while not self._match_mark("]"):
            items.append(self._value(depth))
            self._separate("]")
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        self._at += 1
        fields: dict[str, Any] = {}
        while not self._match_mark("}"):
            key = self._key()
            if not self._match_mark(":"):
                raise ValueError("key without a value")
            fields[key] = self._value(depth)
            self._separate("}")
        return fields

    def _key(self) -> str:
        return self._string() if self._peek() in ('"', "'") else self._match(_BARE_KEY).strip()

    def _separate(self, closer: str) -> None:
        if not self._match_mark(",") and self._peek() != closer:
            raise ValueError("missing comma between two values")


def _scalar(word: str) -> Any:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    match = _NUMBER.fullmatch(word)
    if match is None or len(word) > _MAX_DIGITS:
        return word
    if match[1] is None and match[2] is None:
        return int(word)
    number = float(word)
    return number if math.isfinite(number) else word
