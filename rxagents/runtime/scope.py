"""Bind asyncio tasks to a subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from reactivex import abc

from rxagents.runtime.loop import run_on_loop


class TaskScope(abc.DisposableBase):
    """Holds the tasks of one subscription, and cancels them with it.

    Each task is cancelled once. A second cancellation, of a `dispose` and then an `aclose`, would
    interrupt the clean-up that the first one started.

    Args:
        loop: The loop the tasks run on.

    Attributes:
        disposed: Set by `dispose`. A task that was cancelled without it was cancelled from outside.
    """

    __slots__ = ("_is_cancelled", "_loop", "_tasks", "disposed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.disposed = False
        self._is_cancelled = False
        self._loop = loop
        # asyncio refers to tasks weakly. Mostly there is one, and a set would take 200 bytes.
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task of this scope. Call it on the loop's thread.

        No part of `work` runs inside this call, also not under `asyncio.eager_task_factory`.
        """
        if self._loop.get_task_factory() is not None:
            work = _on_next_turn(work)
        task = self._loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._on_done)
        return task

    def dispose(self) -> None:
        """Cancel the tasks. Any thread may call it, any number of times; it never raises."""
        self.disposed = True
        run_on_loop(self._loop, self._cancel)

    async def aclose(self) -> None:
        """Cancel the tasks and wait until they are over, except the task that calls this."""
        self.dispose()
        current = asyncio.current_task()
        if pending := [task for task in self._tasks if task is not current]:
            await asyncio.wait(pending)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        """Forget a task that is over."""
        self._tasks.remove(task)

    def _cancel(self) -> None:
        # Not `task.cancelling()`: a timeout that expires also cancels its task for a moment.
        if not self._is_cancelled:
            self._is_cancelled = True
            for task in tuple(self._tasks):
                task.cancel()


async def _on_next_turn(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` after one turn of the loop, because a task factory may run the first step at once.

    A task that starts inside `subscribe` would emit before the subscriber has its subscription.
    """
    try:
        await asyncio.sleep(0)
    except BaseException:
        work.close()
        raise
    await work
