"""Decide whether to retry a request, and how long to wait first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from rxagents.core.backoff import backoff, retry_wait
from rxagents.core.errors import ProviderError


def wait_before_retry(error: ProviderError, attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt; `None` if a retry would not help.

    Args:
        error: The error of the last attempt.
        attempt: The number of attempts that failed before it.
    """
    return retry_wait(backoff(attempt), error) if error.retryable else None


def requested_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the provider asks the client to wait, or `None`.

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


def requested_retry(headers: Mapping[str, str]) -> bool | None:
    """Return the value of the header `x-should-retry`; `None` if it is absent or unknown."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
