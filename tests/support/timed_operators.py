"""The operators of time and failure, and a source that counts, for the tests of their laws."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable

from rxagents import KillSwitch
from rxagents import operators as ops

Operator = Callable[[Observable[Any]], Observable[Any]]


def never() -> Observable[Any]:
    return rx.never()


TIMED: dict[str, Callable[[], Operator]] = {
    "timeout_first": lambda: ops.timeout_first(500),
    "timeout_idle": lambda: ops.timeout_idle(500),
    "timeout_total": lambda: ops.timeout_total(500),
    "retry_with_backoff": lambda: ops.retry_with_backoff(),
    "hedge": lambda: ops.hedge(never(), after=500),
    "heartbeat": lambda: ops.heartbeat(2000, str),
    "pause_when": lambda: ops.pause_when(never()),
    "stop_with": lambda: ops.stop_with(KillSwitch()),
}
ALL = {**TIMED, "fallback_to": lambda: ops.fallback_to(never())}
each_timed = pytest.mark.parametrize("make", TIMED.values(), ids=TIMED)
PLAIN = {name: make for name, make in ALL.items() if name != "pause_when"}
"""Those that subscribe to the source with the subscriber's own scheduler."""
each_operator = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
each_plain = pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)


class Counting:
    """Counts up on the loop; closing it takes a while."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.started = self.closed = 0

    async def __call__(self) -> AsyncIterator[int]:
        self.started += 1
        try:
            for number in range(self.limit):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0.001)
            self.closed += 1
