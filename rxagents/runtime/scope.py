"""Bind asyncio tasks to a subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from rxagents.runtime.loop import run_on_loop


class TaskScope:
    """Holds the tasks of one subscription, and cancels them with it.

    Args:
        loop: The loop the tasks run on.

    Attributes:
        disposed: Set by `dispose`. A task that was cancelled without it was cancelled from outside.
    """

    __slots__ = ("_loop", "_tasks", "disposed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.disposed = False
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself refers to tasks weakly

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task of this scope. Call it on the loop's thread."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def dispose(self) -> None:
        """Cancel the tasks. Any thread may call it, any number of times; it never raises."""
        self.disposed = True
        run_on_loop(self._loop, self._cancel)

    async def aclose(self) -> None:
        """Cancel the tasks and wait until they are over, except the task that calls this."""
        self.dispose()
        pending = self._tasks - {asyncio.current_task()}
        if pending:
            await asyncio.wait(pending)

    def _cancel(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
