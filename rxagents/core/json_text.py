"""JSON as text: whether it can be decoded, and what decoding raises."""

from __future__ import annotations

import msgspec

JSON_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What `msgspec.json` raises on input that it cannot decode: `ValueError` covers invalid UTF-8 and
lone surrogates, `RecursionError` is deep nesting."""


def is_json(text: str) -> bool:
    """Return whether `text` is one JSON value; an empty text is not."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except JSON_ERRORS:
        return False
    return True
