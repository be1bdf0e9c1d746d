"""Token counts as JSON numbers."""

from __future__ import annotations


def read_count(counts: object, key: str) -> int | None:
    """Return `counts[key]` if `counts` is an object and the value a whole number, else `None`.

    Some hosts write counts as floats, such as `12.0`.
    """
    value = counts.get(key) if isinstance(counts, dict) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
