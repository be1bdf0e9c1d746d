"""Keep an event log in the memory of the process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from threading import Lock

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.event_log.log_store import (
    INTERRUPTED,
    LEASE_SECONDS,
    Begun,
    Page,
    Position,
    Retention,
    Saved,
    new_token,
    no_entry,
    no_run,
    refused,
    still_written,
)


class MemoryLogStore:
    """Keeps runs until the process ends, for readers on all of its event loops and threads.

    Args:
        retention: The bounds of what is kept.
        clock: Returns the time in seconds.

    Raises:
        ConfigurationError: `retention` is not a `Retention`.
    """

    poll_seconds: float | None = None

    def __init__(
        self, retention: Retention | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._retention = checked_retention(retention)
        self._clock = clock
        self._lock = Lock()
        self._runs: dict[str, _Run] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()
        """When the runs with an end mark ended, the oldest first."""

    def begin(self, key: str) -> Begun:
        """Begin the next attempt; see `LogStore.begin`."""
        with self._lock:
            now = self._clock()
            self._drop_old_runs(now)
            run = self._runs.get(key)
            if run is None:
                run = self._runs[key] = _Run()
                self._drop_old_runs(now)
            elif not run.has_ended and run.lease > now:
                raise still_written(key, run.lease - now)
            elif not run.has_ended:
                self._mark(key, run, now)
            self._ended.pop(key, None)
            previous = run.last_line
            run.begin(now + LEASE_SECONDS)
            return Begun(run.attempt.number, previous, run.token)

    def append(
        self, key: str, token: str, first: int, lines: Sequence[bytes], *, ends: bool
    ) -> None:
        """Add entries; see `LogStore.append`."""
        with self._lock:
            run = self._writable(key, token)
            if run.attempt.next_seq != first:
                raise refused(key)
            run.append(lines)
            if run.count > (limit := self._retention.entries or run.count):
                run.drop(run.count - limit)
            if (size := self._retention.bytes) is not None:
                while run.size > size and run.count > 1:
                    run.drop(1)
            now = self._clock()
            run.lease = now + LEASE_SECONDS
            if ends:
                self._set_end(key, run, now)

    def renew(self, key: str, token: str) -> None:
        """Renew the lease; see `LogStore.renew`."""
        with self._lock:
            self._writable(key, token).lease = self._clock() + LEASE_SECONDS

    def save(self, key: str, token: str, data: bytes) -> None:
        """Keep a checkpoint; see `LogStore.save`."""
        with self._lock:
            run = self._writable(key, token)
            run.lease = self._clock() + LEASE_SECONDS
            run.saved = Saved(run.attempt.number, run.attempt.next_seq - 1, data)

    def saved(self, key: str) -> Saved | None:
        """Return the checkpoint; see `LogStore.saved`."""
        with self._lock:
            self._drop_old_runs(self._clock())
            run = self._runs.get(key)
            return None if run is None else run.saved

    def read(self, key: str, after: Position | None, limit: int) -> Page:
        """Return entries; see `LogStore.read`."""
        with self._lock:
            now = self._clock()
            self._drop_old_runs(now)
            run = self._runs.get(key)
            if run is None:
                raise no_run(key)
            start = run.start(after)
            if start is None:
                raise no_entry(key, after, run.first)
            entries = list(islice(run.entries(*start), limit + 1))
            if len(entries) > limit:
                return Page(entries[:limit], "more")
            if run.has_ended:
                return Page(entries, "ended")
            return Page(entries, "live" if run.lease > now else "lost")

    def lost(self) -> list[str]:
        """Return lost runs; see `LogStore.lost`."""
        with self._lock:
            return self._lost(self._clock())

    def interrupt(self, key: str | None) -> list[str]:
        """Mark lost runs; see `LogStore.interrupt`."""
        with self._lock:
            now = self._clock()
            lost = [name for name in self._lost(now) if key in {None, name}]
            for name in lost:
                self._mark(name, self._runs[name], now)
            return lost

    def forget(self, key: str) -> None:
        """Delete a run; see `LogStore.forget`."""
        with self._lock:
            self._runs.pop(key, None)
            self._ended.pop(key, None)

    def close(self) -> None:
        """Do nothing: there is nothing open."""

    def _lost(self, now: float) -> list[str]:
        runs = self._runs.items()
        return [key for key, run in runs if not run.has_ended and run.lease <= now]

    def _writable(self, key: str, token: str) -> _Run:
        run = self._runs.get(key)
        if run is None or run.token != token or run.has_ended:
            raise refused(key)
        return run

    def _mark(self, key: str, run: _Run, now: float) -> None:
        run.begin(0.0)
        run.append([INTERRUPTED])
        self._set_end(key, run, now)

    def _set_end(self, key: str, run: _Run, now: float) -> None:
        run.has_ended = True
        self._ended[key] = now

    def _drop_old_runs(self, now: float) -> None:
        age, limit = self._retention.age, self._retention.runs
        while self._ended:
            key, ended = next(iter(self._ended.items()))
            is_old = age is not None and ended + age < now
            if not is_old and (limit is None or len(self._runs) <= limit):
                return
            del self._ended[key], self._runs[key]


class _Attempt:
    """The entries of one attempt that are kept.

    Attributes:
        number: The number of the attempt.
        first_seq: The first entry that is kept.
        next_seq: The number that the next entry gets.
        lines: The entries, by their numbers. A dict, since indexing a deque in its middle takes
            time that grows with its length.
    """

    __slots__ = ("first_seq", "lines", "next_seq", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.first_seq = self.next_seq = 1
        self.lines: dict[int, bytes] = {}


class _Run:
    """The attempts of a run, the number and size of their entries, and the lease."""

    __slots__ = ("attempt", "attempts", "count", "has_ended", "lease", "saved", "size", "token")

    def __init__(self) -> None:
        self.attempts: dict[int, _Attempt] = {}
        self.attempt = _Attempt(0)
        self.count = self.size = 0
        self.lease = 0.0
        self.has_ended = False
        self.token = ""
        self.saved: Saved | None = None

    @property
    def first(self) -> Position:
        """The first entry that is kept, or will be."""
        attempt = next(iter(self.attempts.values()))
        return Position(attempt.number, attempt.first_seq)

    @property
    def last_line(self) -> bytes | None:
        """The newest entry of the latest attempt, its end mark."""
        attempt = self.attempt
        return attempt.lines.get(attempt.next_seq - 1)

    def begin(self, lease: float) -> None:
        number = self.attempt.number + 1
        self.attempt = self.attempts[number] = _Attempt(number)
        self.lease = lease
        self.has_ended = False
        self.token = new_token()

    def append(self, lines: Sequence[bytes]) -> None:
        attempt = self.attempt
        seq, kept = attempt.next_seq, attempt.lines
        for line in lines:
            kept[seq] = line
            seq += 1
            self.size += len(line)
        attempt.next_seq = seq
        self.count += len(lines)

    def drop(self, count: int) -> None:
        """Drop the oldest entries."""
        self.count -= count
        while count:
            attempt = next(iter(self.attempts.values()))
            if attempt.first_seq == attempt.next_seq:
                del self.attempts[attempt.number]
                continue
            self.size -= len(attempt.lines.pop(attempt.first_seq))
            attempt.first_seq += 1
            count -= 1

    def start(self, after: Position | None) -> Position | None:
        """Return the position to read from; `None` if it is not kept."""
        if after is None:
            whole = (each.number for each in self.attempts.values() if each.first_seq == 1)
            number = next(whole, None)
            return None if number is None else Position(number, 1)
        attempt = self.attempts.get(after.attempt)
        if attempt is None or not attempt.first_seq <= after.seq + 1 <= attempt.next_seq:
            return None
        return Position(after.attempt, after.seq + 1)

    def entries(self, number: int, seq: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the entries from a position on, without copying those before it."""
        while number <= self.attempt.number:
            attempt = self.attempts[number]
            lines = attempt.lines
            for each in range(seq, attempt.next_seq):
                yield number, each, lines[each]
            number, seq = number + 1, 1


def checked_retention(retention: object) -> Retention:
    """Return `retention`, or the default for `None`.

    Raises:
        ConfigurationError: It is something else.
    """
    if retention is None:
        return Retention()
    if not isinstance(retention, Retention):
        raise ConfigurationError(
            f"retention must be an rxagents.Retention, not {type(retention).__name__}."
        )
    return retention
