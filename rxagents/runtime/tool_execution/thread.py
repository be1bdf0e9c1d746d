"""Run synchronous code on a thread of its own, awaited from the loop.

Theory of operation:

The loop's default executor does not serve here. A thread cannot be stopped, and the interpreter
waits at its exit for the executor's threads: a tool that hangs would keep the program from ending.
So each call gets a daemon thread. One thread runs all steps of a call, because a generator must be
resumed and closed where it runs. Steps and their outcomes cross between the threads only in two
places: the loop puts steps on a `SimpleQueue`, and the thread sets the outcome's future through
`run_on_loop`, which ignores a loop that has been closed meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.reporting import as_exception
from rxagents.runtime.tool_execution.slot import Slot

T = TypeVar("T")


class ToolThread:
    """Runs steps one after the other on a daemon thread, until `close`.

    The thread sees the context variables of the code that made it.

    Args:
        name: The thread's name.
        slot: Held until the thread ends.
    """

    def __init__(self, name: str, slot: Slot) -> None:
        self._slot = slot
        self._loop = asyncio.get_running_loop()
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        work = partial(copy_context().run, self._work)
        threading.Thread(target=work, name=name, daemon=True).start()
        slot.hold()

    def run(self, step: Callable[[], T]) -> asyncio.Future[T]:
        """Run `step` after the steps before it; return a future, which need not be awaited."""
        outcome: asyncio.Future[T] = self._loop.create_future()
        self._steps.put(partial(self._run_step, step, outcome))
        return outcome

    def close(self) -> None:
        """End the thread after the steps that were given to it."""
        self._steps.put(None)

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            step()
        run_on_loop(self._loop, self._slot.release)

    def _run_step(self, step: Callable[[], T], outcome: asyncio.Future[T]) -> None:
        set_outcome: Callable[[], None]
        try:
            set_outcome = partial(outcome.set_result, step())
        except BaseException as error:
            set_outcome = partial(outcome.set_exception, as_exception(error))
        run_on_loop(self._loop, _set_if_pending, outcome, set_outcome)


def _set_if_pending(outcome: asyncio.Future[Any], set_outcome: Callable[[], None]) -> None:
    if not outcome.done():  # the code that awaited it may have been cancelled
        set_outcome()
