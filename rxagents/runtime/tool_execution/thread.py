"""Synchronous code on a thread of its own, awaited from the loop."""

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


class ToolThread:
    """A thread that takes one step after the other. It ends with `close`, after the step it is at.

    It is a daemon, so that a step that hangs does not keep the interpreter from exiting, and no
    thread of the loop's executor, which waits for them. It sees the context variables of whoever
    made it.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        work = partial(copy_context().run, self._work)
        threading.Thread(target=work, name=name, daemon=True).start()

    def run(self, step: Callable[[], T]) -> asyncio.Future[T]:
        """Take a step, and return its outcome, to be awaited or not."""
        outcome: asyncio.Future[T] = self._loop.create_future()
        self._steps.put(partial(self._take, step, outcome))
        return outcome

    def close(self) -> None:
        """Take no more steps."""
        self._steps.put(None)

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            step()

    def _take(self, step: Callable[[], T], outcome: asyncio.Future[T]) -> None:
        settle: Callable[[], None]
        try:
            settle = partial(outcome.set_result, step())
        except BaseException as error:
            settle = partial(outcome.set_exception, as_exception(error))
        run_on_loop(self._loop, _settle, outcome, settle)


def _settle(outcome: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not outcome.done():
        settle()
