"""JSON as text: encoding, whether it can be decoded, and what decoding raises."""

from __future__ import annotations

from typing import Literal

import msgspec

from rxagents.core.surrogates import replace_all_surrogates

JSON_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
"""The errors of `msgspec.json` for input that it cannot decode: `ValueError` covers invalid UTF-8
and lone surrogates, `RecursionError` is deep nesting."""


def is_json(text: str) -> bool:
    """Return whether `text` is one JSON value; an empty text is not."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except JSON_ERRORS:
        return False
    return True


def encode_json(value: object, order: Literal["sorted"] | None = None) -> str:
    """Return a decoded JSON value as JSON text; lone surrogates become question marks.

    Args:
        value: The value.
        order: `"sorted"` sorts the names in objects.
    """
    try:
        return msgspec.json.encode(value, order=order).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(replace_all_surrogates(value), order=order).decode()
