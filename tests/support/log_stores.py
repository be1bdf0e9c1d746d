"""Stores of event logs for tests: a clock that tests move, and a store that answers when told."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec

from rxagents import EventLog, MemoryLogStore, Retention
from rxagents.runtime.event_log.log_store import Page, Position

T = TypeVar("T")


def now(result: T | Future[T]) -> T:
    """Return a store's result when it is there."""
    return result.result(30) if isinstance(result, Future) else result


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def lines(log: EventLog, key: str) -> list[Any]:
    """Return the lines of a run in memory as JSON values, without their times."""
    page = log.store.read(key, None, 1_000_000)
    assert isinstance(page, Page)
    values = [msgspec.json.decode(line) for _, _, line in page.entries]
    return [{name: value for name, value in line.items() if name != "at"} for line in values]


class SlowStore(MemoryLogStore):
    """A store in memory whose writes happen, and are answered, when the test says so.

    Attributes:
        batches: The number of lines of each `append` so far.
        waiting: The writes that wait.
        failure: What the next write fails with.
    """

    def __init__(self, retention: Retention | None = None) -> None:
        super().__init__(retention)
        self.batches: list[int] = []
        self.waiting: list[tuple[Future[Any], Any]] = []
        self.failure: Exception | None = None

    def begin(self, key: str) -> Any:
        return self._later(lambda: MemoryLogStore.begin(self, key))

    def append(
        self, key: str, token: str, first: int, lines: Sequence[bytes], *, ends: bool
    ) -> Any:
        self.batches.append(len(lines))
        return self._later(lambda: MemoryLogStore.append(self, key, token, first, lines, ends=ends))

    def save(self, key: str, token: str, data: bytes) -> Any:
        return self._later(lambda: MemoryLogStore.save(self, key, token, data))

    def read(self, key: str, after: Position | None, limit: int) -> Page:
        return super().read(key, after, limit)

    def _later(self, work: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, work))
        return future

    def answer(self, count: int = 1) -> None:
        """Do the oldest writes that wait, and answer them."""
        for _ in range(count):
            future, work = self.waiting.pop(0)
            failure, self.failure = self.failure, None
            try:
                if failure is not None:
                    raise failure
                result = work()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)


class LatePages(MemoryLogStore):
    """A store in memory whose pages come when the test says so, as they were when asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Future[Page], Page]] = []

    def read(self, key: str, after: Position | None, limit: int) -> Any:
        future: Future[Page] = Future()
        self._waiting.append((future, super().read(key, after, limit)))
        return future

    def answer(self) -> None:
        """Give the pages that were asked for."""
        waiting, self._waiting = self._waiting, []
        for future, page in waiting:
            future.set_result(page)
