"""Serve the newest entries of runs that this process writes, without asking the store's file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import TypeVar

from rxagents.runtime.event_log.log_store import LEASE_SECONDS, Begun, Page, Position

T = TypeVar("T")

_ENTRIES = 1024
_BYTES = 1024 * 1024

_TRUSTED_SECONDS = LEASE_SECONDS - 1.0
"""The answer of the store comes some time after it has set the lease."""

_ENDED_SECONDS = 1.0
"""How long the tail of a run that has ended is served; another process may start the run again."""


class LogTails:
    """Keeps the newest entries of each run that a store has written.

    Many readers that follow one run would ask the store for the same entries. A tail is trusted
    while this process has the lease, since nobody else can write then.

    Args:
        clock: The clock of the leases; by default one that is never set.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._lock = Lock()
        self._tails: dict[str, _Tail] = {}
        self._sweep_at = 64

    def begin(self, key: str, begun: Begun) -> None:
        """Start the tail of an attempt."""
        with self._lock:
            now = self._clock()
            if len(self._tails) >= self._sweep_at:
                self._tails = {k: tail for k, tail in self._tails.items() if tail.trusted > now}
                self._sweep_at = 2 * len(self._tails) + 64
            self._tails[key] = _Tail(begun, now + _TRUSTED_SECONDS)

    def append(self, key: str, token: str, lines: Sequence[bytes], *, ends: bool) -> None:
        """Add entries that are stored."""
        with self._lock:
            tail = self._tails.get(key)
            if tail is None or tail.token != token:
                return
            tail.append(lines)
            tail.has_ended = ends
            tail.trusted = self._clock() + (_ENDED_SECONDS if ends else _TRUSTED_SECONDS)

    def renew(self, key: str, token: str) -> None:
        """Note that the lease was renewed."""
        with self._lock:
            tail = self._tails.get(key)
            if tail is not None and tail.token == token and not tail.has_ended:
                tail.trusted = self._clock() + _TRUSTED_SECONDS

    def forget(self, key: str) -> None:
        """Forget a run."""
        with self._lock:
            self._tails.pop(key, None)

    def read(self, key: str, after: Position | None, limit: int) -> Page | None:
        """Return a page; `None` if only the store can."""
        with self._lock:
            tail = self._tails.get(key)
            if tail is None or tail.trusted <= self._clock():
                return None
            if after is None:
                after = Position(1, 0)
            if after.attempt != tail.attempt:
                return None
            skipped = after.seq + 1 - tail.first_seq
            if not 0 <= skipped <= len(tail.lines):
                return None
            seqs = range(after.seq + 1, min(tail.next_seq, after.seq + 1 + limit))
            page = [(tail.attempt, seq, tail.lines[seq]) for seq in seqs]
            if len(page) < len(tail.lines) - skipped:
                return Page(page, "more")
            return Page(page, "ended" if tail.has_ended else "live")


class _Tail:
    """The newest entries of one attempt, by their numbers.

    Attributes:
        trusted: Until when no other process can have written.
    """

    __slots__ = (
        "attempt",
        "first_seq",
        "has_ended",
        "lines",
        "next_seq",
        "size",
        "token",
        "trusted",
    )

    def __init__(self, begun: Begun, trusted: float) -> None:
        self.attempt, self.token = begun.attempt, begun.token
        self.trusted = trusted
        self.first_seq = self.next_seq = 1
        self.lines: dict[int, bytes] = {}
        self.size = 0
        self.has_ended = False

    def append(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self.lines[self.next_seq] = line
            self.next_seq += 1
            self.size += len(line)
        while len(self.lines) > _ENTRIES or (self.size > _BYTES and len(self.lines) > 1):
            self.size -= len(self.lines.pop(self.first_seq))
            self.first_seq += 1


def then(future: Future[T], action: Callable[[T], None]) -> None:
    """Call `action` on the store's thread, before anybody else gets the result."""

    def done(future: Future[T]) -> None:
        if not future.cancelled() and future.exception() is None:
            action(future.result())

    future.add_done_callback(done)
