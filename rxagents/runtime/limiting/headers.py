"""Read a provider's rate limits from the headers of its responses."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from msgspec import Struct

_NAMES = {
    "requests": (
        ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        ("anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"),
    ),
    "tokens": (
        ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
        ("anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining"),
    ),
}
"""The headers of the limit and of what is left: OpenAI's, which many hosts send too, and
Anthropic's. Anthropic's `tokens` are those of the limit that is nearest."""

_RESETS = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Seen(Struct, frozen=True):
    """One limit, as a provider's headers report it; `None` for what they leave out.

    Attributes:
        limit: The limit per minute.
        left: What is left of it.
    """

    limit: float | None = None
    left: float | None = None


def seen_limits(headers: Mapping[str, str]) -> dict[str, Seen]:
    """Return what the headers say about `"requests"` and `"tokens"`; empty if they say nothing."""
    seen = {}
    for what, names in _NAMES.items():
        for limit_name, left_name in names:
            found = Seen(_number(headers.get(limit_name)), _number(headers.get(left_name)))
            if found != Seen():
                seen[what] = found
                break
    return seen


def seconds_to_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a limit of which nothing is left is whole again, if any is."""
    waits = [
        seconds
        for names, reset in zip(_NAMES.values(), _RESETS, strict=True)
        if _number(headers.get(names[0][1])) == 0
        and (seconds := duration(headers.get(reset, ""))) is not None
    ]
    return max(waits, default=None)


def duration(text: str) -> float | None:
    """Read a duration such as `"6m0s"`, `"12ms"`, `"1.5s"` or `"3"`; `None` if it is none."""
    plain = _number(text)
    if plain is not None:
        return plain
    parts = _PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value >= 0 and math.isfinite(value) else None
