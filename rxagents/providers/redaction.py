"""Remove secrets from what errors show: their messages, and the frames of their tracebacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
"""As `html.escape` writes these characters; that module takes a millisecond to import."""

_SHORTEST_SECRET = 8
"""Characters. Shorter header and query values are words and no secrets: hiding them would garble
messages."""

_SHORTEST_KEY = 5
"""Characters. A shorter key only fills the argument where a local host wants no key."""


def redacted(text: str, key: str | None, others: Iterable[str]) -> str:
    """Return `text` with `***` for the key and for each other secret.

    A server may echo a secret percent-encoded, as in the path of a 404, or escaped as in JSON or
    HTML, and a quotation may cut it off: its first 8 characters are enough, and hide as many of
    the others as follow.

    Args:
        text: What a server wrote.
        key: The API key, if there is one; hidden from 5 characters on.
        others: Other values that may be secret, such as those of headers; hidden from 8
            characters on.
    """
    for secret in _hidden(key, others):
        pieces, position = [], 0
        for start, end in _places(text, secret):
            pieces.append(text[position:start])
            position = end
        text = "***".join([*pieces, text[position:]])
    return text


def secret_places(text: str, key: str | None, others: Iterable[str]) -> list[tuple[int, int]]:
    """Return the start and end of each part of `text` that `redacted` would replace."""
    return sorted(place for secret in _hidden(key, others) for place in _places(text, secret))


def without_frames(error: BaseException) -> BaseException:
    """Remove the tracebacks of `error` and of the errors that led to it, and return it.

    Tools that report crashes print the local variables of every frame. Those of the transport and
    of aiohttp hold the headers with the key, and those of the parsers what the server echoed.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        known = waiting.pop()
        if known is not None and id(known) not in seen:
            seen.add(id(known))
            known.__traceback__ = None
            waiting += [known.__cause__, known.__context__]
    return error


def _hidden(key: str | None, others: Iterable[str]) -> list[str]:
    """Return the values that are long enough to be secrets."""
    secrets = [secret for secret in others if len(secret) >= _SHORTEST_SECRET]
    return secrets if key is None or len(key) < _SHORTEST_KEY else [key, *secrets]


def _places(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Yield where a secret, or its beginning, starts and ends in `text`."""
    spellings = [_spellings(character) for character in secret]
    first = re.compile("".join(spellings[:_SHORTEST_SECRET]))
    rest = [re.compile(spelling) for spelling in spellings[_SHORTEST_SECRET:]]
    position = 0
    while (match := first.search(text, position)) is not None:
        start, position = match.span()
        for character in rest:
            following = character.match(text, position)
            if following is None:
                break
            position = following.end()
        yield start, position


def _spellings(character: str) -> str:
    """Return a pattern for one character as it is, or encoded for a URL, JSON, Python or HTML."""
    code = ord(character)
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "replace"))
    spellings = [  # the character itself last: it may begin another spelling, as & begins &amp;
        f"(?i:{percent})",
        rf"(?i:\\+u{code:04x})",
        rf"(?i:\\+x{code:02x})",
        f"(?i:&#x0*{code:x};)",
        f"&#0*{code};",
        re.escape(_HTML.get(character, character)),
        rf"\\*{re.escape(character)}",
    ]
    if character == " ":
        spellings.append(r"\+")  # in the query of a URL
    return f"(?:{'|'.join(spellings)})"
