"""Subscribers that remember, and what a virtual scheduler still has to do."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from reactivex import Observable
from reactivex.testing import TestScheduler


class Seen:
    """A subscriber on a loop: the items, then how it ended, and the threads that told it.

    Args:
        source: What to subscribe to, without a scheduler.
    """

    def __init__(self, source: Observable[Any]) -> None:
        self.notes: list[Any] = []
        self.threads: set[int] = set()
        self.over = asyncio.Event()
        self.subscription = source.subscribe(self.on_next, self.on_error, self.on_completed)

    def on_next(self, item: Any) -> None:
        self._note(item)

    def on_error(self, error: Exception) -> None:
        self._note(error)
        self.over.set()

    def on_completed(self) -> None:
        self._note("end")
        self.over.set()

    def _note(self, note: Any) -> None:
        self.notes.append(note)
        self.threads.add(threading.get_ident())


def pending(scheduler: TestScheduler) -> list[Any]:
    """Return what is scheduled and not cancelled."""
    return [item for item, _ in scheduler._queue.items if not item.is_cancelled()]


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(30):
        await asyncio.sleep(0)


def in_thread(action: Any) -> None:
    """Run `action` on a thread of its own, to its end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failures
