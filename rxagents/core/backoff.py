"""Decide whether to retry, and how long to wait before."""

from __future__ import annotations

import random

from rxagents.core.errors import (
    IdleTimeoutError,
    ProviderError,
    RxAgentsError,
    TruncatedStreamError,
)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0
JITTER = 0.25
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""The figures of the vendors' SDKs. A provider that asks for a longer wait raises at once."""


def backoff(
    attempt: int,
    first: float = FIRST_WAIT_SECONDS,
    longest: float = LONGEST_WAIT_SECONDS,
    jitter: float = JITTER,
) -> float:
    """Return the seconds to wait after failed attempt `attempt`, counted from 0."""
    return min(first * 2.0 ** min(attempt, 64), longest) * (1 - jitter * random.random())


def retry_wait(wait: float, error: Exception) -> float | None:
    """Return the wait that the provider asks for, else `wait`; `None` if it asks for too long."""
    requested = error.retry_after if isinstance(error, ProviderError) else None
    if requested is None:
        return wait
    return requested if requested <= LONGEST_RETRY_AFTER_SECONDS else None


def is_transient(error: Exception) -> bool:
    """Return whether a stream that failed with `error` may succeed when it is started again.

    True for a provider's errors that are `retryable`, for streams that were cut off or fell
    silent, and for all exceptions that are not the library's own.
    """
    if isinstance(error, (TruncatedStreamError, IdleTimeoutError)):
        return True
    if isinstance(error, ProviderError):
        return error.retryable
    return not isinstance(error, RxAgentsError)
