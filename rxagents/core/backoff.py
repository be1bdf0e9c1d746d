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
LONGEST_ASKED_WAIT_SECONDS = 60.0
"""The vendors' SDKs wait by these figures; a provider that asks for more raises at once."""


def backoff(
    attempt: int,
    first: float = FIRST_WAIT_SECONDS,
    longest: float = LONGEST_WAIT_SECONDS,
    jitter: float = JITTER,
) -> float:
    """Return the seconds to wait after failed attempt `attempt`, counted from 0."""
    return min(first * 2.0 ** min(attempt, 64), longest) * (1 - jitter * random.random())


def asked_or(wait: float, error: Exception) -> float | None:
    """Return the seconds that the provider asks to wait, or else `wait`; `None` for too many."""
    asked = error.retry_after if isinstance(error, ProviderError) else None
    if asked is None:
        return wait
    return asked if asked <= LONGEST_ASKED_WAIT_SECONDS else None


def may_pass(error: Exception) -> bool:
    """Tell whether a stream that failed with `error` may go well when it is started again.

    Of a provider's errors those that are `retryable`, and streams that were cut off or fell
    silent; of the library's others none; of other exceptions all.
    """
    if isinstance(error, (TruncatedStreamError, IdleTimeoutError)):
        return True
    if isinstance(error, ProviderError):
        return error.retryable
    return not isinstance(error, RxAgentsError)
