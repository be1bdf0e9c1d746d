"""Lone surrogates: halves of a character, which UTF-8 cannot encode."""

from __future__ import annotations


def replace_surrogates(text: str) -> str:
    """Return `text` with a question mark for each lone surrogate.

    Python reads them from JSON escapes and from file names; no JSON, terminal or log can write
    them.
    """
    return str.encode(text, "utf-8", "replace").decode()  # a subclass may override `encode`
