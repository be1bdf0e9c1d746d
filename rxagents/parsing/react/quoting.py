"""Find and unescape quoted strings, single or triple, of JSON and Python."""

from __future__ import annotations

import re

_BODY = {
    quote: re.compile(rf"(?:[^{quote}\\]++|\\.)*+", re.DOTALL) for quote in ('"', "'")
} | {
    quote * 3: re.compile(
        rf"(?:[^{quote}\\]++|\\.|{quote}{{1,2}}+(?=[^{quote}]))*+", re.DOTALL
    )
    for quote in ('"', "'")
}  # fmt: skip
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"} | {c: c for c in "\"'/\\"}


def quote_at(text: str, at: int) -> str:
    """Return the quote that opens at `at`; empty if `text` ends before it is certain."""
    quotes = text[at : at + 3]
    if quotes == quotes[0] * 3:
        return quotes
    return "" if quotes in ('"', "'", '""', "''") else quotes[0]


def body_end(text: str, at: int, quote: str) -> int:
    """Return where the string body that starts at `at` ends, or where certain text ends."""
    match = _BODY[quote].match(text, at)
    return match.end() if match else at


def unescape(body: str) -> str:
    r"""Resolve escapes; an escape that neither language defines, such as `\d`, stays text."""
    if "\\" not in body:
        return body
    text = _ESCAPE.sub(_unescape_one, body)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unescape_one(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, match[0])
