"""Coroutines in virtual time that must leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from virtual_loop import VirtualLoop

T = TypeVar("T")


class SupervisedLoop(VirtualLoop):
    """A virtual loop that can be held, and whose timers can be seen."""

    def hold(self, seconds: float) -> None:
        """Let time pass as if a callback had held the loop."""
        self._virtual.now += seconds

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are to come."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # asyncio's own
        return [timer for timer in scheduled if not timer.cancelled()]


def supervised_loop() -> SupervisedLoop:
    """Return the running loop, which is one of these."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SupervisedLoop)
    return loop


def run_supervised(work: Coroutine[Any, Any, T], errors: list[Exception] | None = None) -> T:
    """Run a coroutine in virtual time; fail if it leaves a task, a timer or an unseen error.

    Args:
        work: The coroutine.
        errors: Takes what reaches the loop's exception handler, where that is expected.
    """
    unseen: list[dict[str, Any]] = []

    def take(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if errors is None or "exception" not in context:
            unseen.append(context)
        else:
            errors.append(context["exception"])

    async def supervised() -> T:
        loop = supervised_loop()
        loop.set_exception_handler(take)
        result = await work
        for _ in range(5):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left: {left}"
        assert not loop.timers, f"timers left: {loop.timers}"
        return result

    with asyncio.Runner(loop_factory=SupervisedLoop, debug=True) as runner:
        result = runner.run(supervised())
    assert not unseen, f"errors nobody saw: {unseen}"
    return result
