"""When to send a request again, and how long to wait before."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from rxagents.core.errors import ProviderError

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0
LONGEST_ASKED_WAIT_SECONDS = 60.0
"""The vendors' SDKs wait by these figures; a provider that asks for more raises at once."""


def wait_before_retry(error: ProviderError, attempt: int) -> float | None:
    """Return the seconds to wait before attempt `attempt + 1`; `None` where it would not help.

    Args:
        error: Why the attempt failed.
        attempt: How many attempts failed before this one.
    """
    if not error.retryable:
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= LONGEST_ASKED_WAIT_SECONDS else None
    wait = min(FIRST_WAIT_SECONDS * 2.0**attempt, LONGEST_WAIT_SECONDS)
    return wait * (1 - 0.25 * random.random())


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the provider asks to wait, or `None`.

    Read from `retry-after-ms` and from `retry-after` in seconds or as a date (RFC 9110, 10.2.3).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def asked_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what `x-should-retry` says; `None` where it says nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
