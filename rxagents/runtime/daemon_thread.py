"""Run synchronous code on a thread of its own, awaited from the loop.

Theory of operation:

The loop's default executor does not serve here. A thread cannot be stopped, and `asyncio.run` and
the interpreter wait for the executor's threads: a tool or a name lookup that hangs would keep the
program from ending. So each call gets a daemon thread. One thread runs all steps of a call, because
a generator must be resumed and closed where it runs. Steps and their outcomes cross between the
threads only in two places: the loop puts steps on a `SimpleQueue`, and the thread sets the
outcome's future through `run_on_loop`, which ignores a loop that has been closed meanwhile.
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

T = TypeVar("T")


class WorkThread(threading.Thread):
    """A thread that knows whether it works: virtual time stands still until it does not.

    Attributes:
        given: How many steps it was given; the loop counts them.
        done: How many of these are done; the thread itself counts them.
    """

    given = 0
    done = 0

    @property
    def is_working(self) -> bool:
        """Whether there is a step that is not done."""
        return self.given != self.done


class DaemonThread:
    """Runs steps one after the other on a daemon thread, until `close`.

    The thread sees the context variables of the code that made it.

    Args:
        name: The thread's name.
        on_end: Called on the loop when the thread ends.
    """

    def __init__(self, name: str, on_end: Callable[[], None] | None = None) -> None:
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        work = partial(copy_context().run, self._work)
        self._thread = WorkThread(target=work, name=name, daemon=True)
        self._thread.start()

    def run(self, step: Callable[[], T]) -> asyncio.Future[T]:
        """Run `step` after the steps before it; return a future, which need not be awaited."""
        outcome: asyncio.Future[T] = self._loop.create_future()
        self._thread.given += 1
        self._steps.put(partial(self._run_step, step, outcome))
        return outcome

    def close(self) -> None:
        """End the thread after the steps that were given to it."""
        self._thread.given += 1
        self._steps.put(None)

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            step()
            self._thread.done += 1
        if self._on_end is not None:
            run_on_loop(self._loop, self._on_end)

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
