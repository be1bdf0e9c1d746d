"""Describe how the run of one key has ended."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.event_base import ErrorInfo
from rxagents.core.usage import Usage
from rxagents.runtime.spending.cost import Cost


class RunReport(Struct, frozen=True):
    """How the run of one key of `run_many` has ended.

    Attributes:
        key: The key.
        output: The run's output, a text; `None` if it failed. A typed answer is JSON.
        error: What it failed with; `None` if it completed. `error.exception()` makes the exception.
        finish_reason: The run's finish reason; empty if it failed.
        attempts: How often it was started. More than 1: a worker was lost.
        usage: The token counts of the run; if it failed, those of its requests that were counted.
        cost: What the requests of its last attempt have used and cost, also if it failed.
    """

    key: str
    output: str | None = None
    error: ErrorInfo | None = None
    finish_reason: str = ""
    attempts: int = 1
    usage: Usage | None = None
    cost: Cost = Cost()
