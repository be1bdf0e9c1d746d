"""Run a coroutine on a loop of its own, and fail if it leaves anything behind.

`tests/conftest.py` runs every `async def` test with `run_async`. A test calls it directly only
where it needs more than one loop: hypothesis runs a loop for each example.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from rxagents.testing.virtual_time import VirtualLoop

T = TypeVar("T")

_SECONDS = 120
"""How long a test may hang in real time; a virtual loop fails by itself when it can only wait."""

_LAST_TURNS = 5
"""Loop turns that a cancelled task may take to end."""

_LINGER_SECONDS = 0.2
"""A stream that has completed may keep its connection for 0.1 s, to drain it."""

_unseen_errors: list[list[Exception]] = []
"""What reached the exception handlers of this test's loops with sockets."""

_freeze_next: list[bool] = []
"""Is not empty after a collection."""

debug = False
"""Whether loops run in asyncio's debug mode, which extracts a stack for each task (`--full`)."""


def run_async(
    work: Awaitable[T],
    errors: list[Exception] | None = None,
    *,
    real_time: bool = False,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = VirtualLoop,
) -> T:
    """Run `work`; fail if it leaves a task, a timer, a socket or an error in the loop's handler.

    Args:
        work: The coroutine.
        errors: Receives what reaches the loop's exception handler; must be empty at the end.
        real_time: Run on a usual loop.
        loop_factory: Makes the loop otherwise.
    """
    unseen: list[Exception] = [] if errors is None else errors

    def keep(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unseen.append(context.get("exception") or RuntimeError(context["message"]))

    async def supervised() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(keep)
        if isinstance(loop, VirtualLoop):
            result = await work
        else:
            result = await asyncio.wait_for(work, _SECONDS)
        for _ in range(_LAST_TURNS):
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        assert not tasks, f"tasks left: {tasks}"
        if isinstance(loop, VirtualLoop):
            if loop.had_sockets:
                await asyncio.sleep(_LINGER_SECONDS)
            assert not loop.timers, f"timers left: {loop.timers}"
        return result

    factory = None if real_time else loop_factory
    with asyncio.Runner(loop_factory=factory, debug=debug) as runner:
        loop = runner.get_loop()
        result = runner.run(supervised())
    if not isinstance(loop, VirtualLoop) or loop.had_sockets:
        _unseen_errors.append(unseen)
    assert not unseen, f"errors in the loop's exception handler: {unseen}"
    return result


def check_leaks() -> None:
    """Collect garbage if a loop had sockets: one that leaked warns only when it is collected."""
    if _unseen_errors:
        gc.collect()
        _freeze_next.append(True)
        errors = [error for unseen in _unseen_errors for error in unseen]
        _unseen_errors.clear()
        assert not errors, f"errors in the loop's exception handler: {errors}"


def forget_leaks() -> None:
    """Forget the loops of a test that has failed.

    What outlives a collection and its test stays in a cache, mostly. It is taken out of later
    collections: after some thousand tests each would cost 100 ms.
    """
    _unseen_errors.clear()
    if _freeze_next:
        _freeze_next.clear()
        gc.freeze()
