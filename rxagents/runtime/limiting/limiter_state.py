"""Describe what a limiter does at the moment."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class LimiterState(Struct, frozen=True):
    """The present state of a `Limiter`.

    Attributes:
        waiting: How many requests wait, by their key.
        in_flight: How many requests were sent and have not ended.
        requests_left: How many requests may be sent at once; `None` without a limit.
        tokens_left: How many tokens are left; below 0 after a large request; `None` without a
            limit.
        next_free_in: Seconds until the next request may be sent; `inf` if another one has to end
            first.
    """

    waiting: dict[Any, int]
    in_flight: int
    requests_left: int | None
    tokens_left: int | None
    next_free_in: float
