"""Find the closing bracket of an action incrementally.

Each character is read once. Between calls of `feed` only `_carry` is kept unread: a quote that
may still become a triple quote, or an escape that is cut in two, and the character before it
(the lookbehind in `_NESTED` needs it).
"""

from __future__ import annotations

import re

from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.parsing.react.quoting import body_end, quote_at

_MAX_DEPTH = DEFAULT_LIMITS.json_depth
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_NARROW = {"（": "(", "）": ")", "［": "[", "］": "]", "【": "[", "】": "]", "，": ","}
_NESTED = re.compile(r"""(?<!\w)["']|[()\[\]{},\n]""")
"""A quote after a letter is an apostrophe, not the start of a string."""
_SQUARE = re.compile(r"[\[\]]")
_WIDE_NESTED = re.compile(r"""(?<!\w)["']|[()\[\]{},\n（）［］【】，]""")
_WIDE_SQUARE = re.compile(r"[\[\]［］【】]")


def narrow(mark: str) -> str:
    """Return the ASCII bracket or comma that a full-width one stands for."""
    return _NARROW.get(mark, mark)


class Brackets:
    """Collects the text between a bracket and its closing bracket.

    Square brackets contain plain text; other brackets contain strings and nested brackets. A
    bracket whose content exceeds the nesting limit of JSON never closes. Only inside of a
    full-width bracket do full-width brackets and commas count, as the ASCII ones that they stand
    for.

    Args:
        opener: The opening bracket.

    Attributes:
        commas: The positions in `text` of commas outside of strings and nested brackets.
        newlines: The positions in `text` of line ends outside of them.
    """

    __slots__ = ("_at", "_carry", "_closers", "_fragments", "_mark", "_offset", "_quote", "commas",
                 "newlines")  # fmt: skip

    def __init__(self, opener: str) -> None:
        self.commas: list[int] = []
        self.newlines: list[int] = []
        is_wide, opener = opener in _NARROW, narrow(opener)
        if opener == "[":
            self._mark = _WIDE_SQUARE if is_wide else _SQUARE
        else:
            self._mark = _WIDE_NESTED if is_wide else _NESTED
        self._closers = _CLOSERS[opener]
        self._quote = ""
        self._fragments: list[str] = []
        # The unread text starts at `_at`; the character before it is kept for the lookbehind.
        self._carry = ""
        self._at = 0
        self._offset = 0

    @property
    def text(self) -> str:
        """The text that was fed, without the closing bracket."""
        return "".join(self._fragments)

    @property
    def in_triple_quotes(self) -> bool:
        """Whether a triple-quoted string is open."""
        return len(self._quote) > 1

    def feed(self, text: str) -> int:
        """Return the position in `text` after the closing bracket, or -1."""
        if len(self._closers) > _MAX_DEPTH:
            return -1
        data, at = self._carry + text, self._at
        while 0 < len(self._closers) <= _MAX_DEPTH and at < len(data):
            read = self._read_string(data, at) if self._quote else self._read_plain(data, at)
            if read == at:
                break
            at = read
        if not self._closers:
            end = at - len(self._carry)
            self._fragments.append(text[: end - 1])
            return end
        self._fragments.append(text)
        self._keep(data, at)
        return -1

    def _keep(self, data: str, at: int) -> None:
        kept = max(at - 1, 0)
        self._carry, self._at = data[kept:], at - kept
        self._offset += kept

    def _read_string(self, data: str, at: int) -> int:
        end = body_end(data, at, self._quote)
        if data.startswith(self._quote, end):
            end += len(self._quote)
            self._quote = ""
        return end

    def _read_plain(self, data: str, at: int) -> int:
        match = self._mark.search(data, at)
        if match is None:
            return len(data)
        mark, start = narrow(match[0]), match.start()
        if mark in "\"'":
            self._quote = quote_at(data, start)
            return start + len(self._quote)
        if mark == "," or mark == "\n":
            self._separate(self.commas if mark == "," else self.newlines, self._offset + start)
        elif mark in _CLOSERS:
            self._closers += _CLOSERS[mark]
        elif mark in self._closers:
            self._closers = self._closers[: self._closers.rfind(mark)]
        return match.end()

    def _separate(self, positions: list[int], at: int) -> None:
        if len(self._closers) == 1:
            positions.append(at)
