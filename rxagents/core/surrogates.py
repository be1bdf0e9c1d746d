"""Lone surrogates: halves of a character, which UTF-8 cannot encode."""

from __future__ import annotations

from typing import Any


def replace_surrogates(text: str) -> str:
    """Return `text` with a question mark for each lone surrogate.

    Python reads them from JSON escapes and from file names; no JSON, terminal or log can write
    them.
    """
    return str.encode(text, "utf-8", "replace").decode()  # a subclass may override `encode`


def replace_all_surrogates(value: Any) -> Any:
    """Return a JSON value with a question mark for each lone surrogate in its texts and names.

    Tuples become lists.
    """
    match value:
        case str():
            return replace_surrogates(value)
        case list() | tuple():
            return [replace_all_surrogates(item) for item in value]
        case dict():
            return {
                replace_all_surrogates(name): replace_all_surrogates(item)
                for name, item in value.items()
            }
    return value
