"""Sources and subscribers that record what happens to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.testing import TestScheduler


class Seen:
    """A subscriber that records a stream, and fails if anything follows its end.

    Args:
        source: The stream; it is subscribed to at once, without a scheduler.
        on_next: Called with each item, after it was recorded.

    Attributes:
        notes: The items, then the exception or `"end"`.
        error: The exception, if there was one.
        completed: Whether the stream completed.
        threads: The threads that called the subscriber.
        first: Set at the first item.
        over: Set at the end.
        subscription: Disposes the stream.
    """

    def __init__(
        self, source: Observable[Any], on_next: Callable[[Any], object] | None = None
    ) -> None:
        self.notes: list[Any] = []
        self.error: Exception | None = None
        self.completed = False
        self.threads: set[int] = set()
        self.first = asyncio.Event()
        self.over = asyncio.Event()
        self._action = on_next
        self._changed = asyncio.Event()
        self.subscription = source.subscribe(self._on_next, self._on_error, self._on_completed)

    @property
    def items(self) -> list[Any]:
        """The notes without the end."""
        ended = self.completed or self.error is not None
        return self.notes[:-1] if ended else list(self.notes)

    def all(self, kind: type) -> list[Any]:
        """Return the items of one type."""
        return [item for item in self.items if isinstance(item, kind)]

    async def saw(self, kind: type, count: int = 1) -> None:
        """Wait for `count` items of one type."""
        while len(self.all(kind)) < count:
            assert not self.over.is_set(), f"the stream has ended: {self.notes}"
            await self._changed.wait()

    def _on_next(self, item: Any) -> None:
        self._note(item)
        self.first.set()
        if self._action is not None:
            self._action(item)

    def _on_error(self, error: Exception) -> None:
        self.error = error
        self._note(error)
        self.over.set()

    def _on_completed(self) -> None:
        self.completed = True
        self._note("end")
        self.over.set()

    def _note(self, note: Any) -> None:
        assert not self.over.is_set(), f"{note!r} follows the end: {self.notes}"
        self.notes.append(note)
        self.threads.add(threading.get_ident())
        self._changed.set()
        self._changed = asyncio.Event()


class Numbers:
    """Counts up from 0, as fast as it is read: a function for `from_aiter`.

    Args:
        limit: How many numbers there are; without end by default.

    Attributes:
        started: How often it was started.
        made: How many numbers the latest start has yielded.
        closed: How often it ended or was closed.
        over: Set when it ended or was closed.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.started = self.made = self.closed = 0
        self.over = asyncio.Event()

    async def __call__(self) -> AsyncIterator[int]:
        self.started += 1
        self.made = 0
        try:
            while self.limit is None or self.made < self.limit:
                self.made += 1
                yield self.made - 1
        finally:
            self.closed += 1
            self.over.set()


FAILURE = LookupError("the screen is gone")
"""What `fail` raises."""


def fail(_: object) -> None:
    """Fail as a consumer: raise `FAILURE`."""
    raise FAILURE.with_traceback(None)  # without the frames of earlier tests


async def letters() -> AsyncIterator[str]:
    """Yield "a" and "b": a function for `from_aiter`."""
    yield "a"
    yield "b"


def subscribe_on_a_loop_that_ends(make: Callable[[], Observable[Any]]) -> Seen:
    """Return what a subscriber saw whose loop was cancelled after one turn."""

    async def leave() -> Seen:
        seen = Seen(make())
        await asyncio.sleep(0)
        return seen

    return asyncio.run(leave())


async def stall() -> AsyncIterator[int]:
    """Yield nothing, and never end: a function for `from_aiter`."""
    await asyncio.Event().wait()
    yield 0


def pending(scheduler: TestScheduler) -> list[Any]:
    """Return what is scheduled and not cancelled."""
    return [item for item, _ in scheduler._queue.items if not item.is_cancelled()]


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(30):
        await asyncio.sleep(0)


def in_thread(action: Callable[[], object]) -> None:
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


def scheduler_spy() -> tuple[Observable[Any], list[abc.SchedulerBase | None]]:
    """Return a source that never emits, and the schedulers that it is subscribed to with."""
    found: list[abc.SchedulerBase | None] = []

    def subscribe(
        _: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        found.append(scheduler)
        return Disposable()

    return Observable(subscribe), found
