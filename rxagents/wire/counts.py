"""Token counts as JSON numbers."""

from __future__ import annotations


def read_count(counts: object, key: str) -> int | None:
    """Return `counts[key]` if `counts` is an object and the value a whole number, else `None`.

    Some hosts write counts as floats, such as `12.0`.
    """
    value = counts.get(key) if isinstance(counts, dict) else None
    if value is None:  # first, since Gemini sends counts with every event
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) < _NO_COUNT else None


_NO_COUNT = 2**63
"""Encoders refuse integers with more than 64 bits."""
