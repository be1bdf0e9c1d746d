"""Keep an event log in a Redis server, for processes on several machines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.event_log.log_store import (
    INTERRUPTED,
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
from rxagents.runtime.event_log.memory_log_store import checked_retention
from rxagents.storage.log_tails import LogTails, then
from rxagents.storage.redis_scripts import SCRIPTS
from rxagents.storage.redis_worker import RedisWorker

_PACK = 64
"""Lines in one entry of a Redis stream. The bounds of a run's entries drop whole packs."""


class RedisLogStore:
    """Keeps runs in Redis Streams; any number of processes and machines may use one server.

    It needs the extra `redis`: `pip install 'rxagents[redis]'`. All calls run on one thread, in
    batches, never on the event loop. A connection that breaks is made again for some seconds.
    Whether entries survive the server's own crash is its setting (`appendonly`). Entries of other
    processes are looked for ten times a second.

    Args:
        url: The server, such as `"redis://localhost:6379/0"`; it may contain a user and a password.
        retention: The bounds of what is kept; entries are dropped in packs of up to 64.
        prefix: The beginning of the names of all keys.
        clock: Returns the time in seconds, instead of the server; for tests.

    Raises:
        ConfigurationError: The library redis is not installed, or an argument is of the wrong type.
    """

    poll_seconds: float | None = 0.1

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        retention: Retention | None = None,
        *,
        prefix: str = "rxagents",
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not isinstance(prefix, str) or not prefix or set(prefix) & set("{}"):
            raise ConfigurationError(f"prefix must be a text without braces, not {prefix!r}.")
        self._retention = checked_retention(retention)
        self._prefix = f"{{{prefix}}}:"
        self._clock = clock
        self._tails = LogTails(clock)
        self._worker = RedisWorker(url, SCRIPTS)

    def begin(self, key: str) -> Future[Begun]:
        """Begin the next attempt; see `LogStore.begin`."""
        token = new_token()

        def parse(answer: list[Any]) -> Begun:
            if answer[0] == b"busy":
                raise still_written(key, float(answer[1]))
            return Begun(int(answer[1]), answer[2] or None, token)

        age, runs = _text(self._retention.age), _text(self._retention.runs)
        begun = self._call("begin", key, parse, token, INTERRUPTED, age, runs, self._prefix)
        then(begun, partial(self._tails.begin, key))
        return begun

    def append(
        self, key: str, token: str, first: int, lines: Sequence[bytes], *, ends: bool
    ) -> Future[None]:
        """Add entries; see `LogStore.append`."""
        age, entries, size = map(
            _text, (self._retention.age, self._retention.entries, self._retention.bytes)
        )
        appended = self._call(
            "append",
            key,
            partial(_check, key),
            *(token, first, int(ends), age, entries, size),
            *itertools.chain.from_iterable(_packs(lines)),
        )
        then(appended, lambda _: self._tails.append(key, token, lines, ends=ends))
        return appended

    def renew(self, key: str, token: str) -> Future[None]:
        """Renew the lease; see `LogStore.renew`."""
        renewed = self._call("renew", key, partial(_check, key), token)
        then(renewed, lambda _: self._tails.renew(key, token))
        return renewed

    def save(self, key: str, token: str, data: bytes) -> Future[None]:
        """Keep a checkpoint; see `LogStore.save`."""
        saved = self._call("save", key, partial(_check, key), token, data)
        then(saved, lambda _: self._tails.renew(key, token))
        return saved

    def saved(self, key: str) -> Future[Saved | None]:
        """Return the checkpoint; see `LogStore.saved`."""
        return self._call("saved", key, _saved)

    def read(self, key: str, after: Position | None, limit: int) -> Page | Future[Page]:
        """Return entries; see `LogStore.read`."""
        if page := self._tails.read(key, after, limit):
            return page
        start = after or Position(0, 0)
        parse = partial(_page, key, after, limit)
        return self._call("read", key, parse, *start, _text(self._retention.age), limit)

    def lost(self) -> Future[list[str]]:
        """Return lost runs; see `LogStore.lost`."""
        return self._call("lost", "", _names)

    def interrupt(self, key: str | None) -> Future[list[str]]:
        """Mark lost runs, each in a step of its own; see `LogStore.interrupt`."""
        marked: Future[list[str]] = Future()
        marked.set_running_or_notify_cancel()
        if key is not None:
            self._mark([key], marked)
            return marked

        def mark(lost: Future[list[str]]) -> None:
            error = lost.exception()
            if error is None:
                self._mark(lost.result(), marked)
            else:
                marked.set_exception(error)

        self.lost().add_done_callback(mark)
        return marked

    def _mark(self, keys: Sequence[str], marked: Future[list[str]]) -> None:
        age = _text(self._retention.age)
        answers = [(name, self._call("interrupt", name, bool, INTERRUPTED, age)) for name in keys]
        last = self.lost()  # answered after the marks
        last.add_done_callback(lambda _: _collect(marked, answers))

    def forget(self, key: str) -> Future[None]:
        """Delete a run; see `LogStore.forget`."""
        self._tails.forget(key)
        return self._call("forget", key, partial(_check, key))

    def close(self) -> Future[None]:
        """Close the connection after the calls that wait; the next use opens it again."""
        return self._worker.close()

    def _call(
        self, script: str, key: str, parse: Callable[[Any], Any], *arguments: str | bytes | float
    ) -> Future[Any]:
        names = (f"run:{key}", f"log:{key}", "live", "ended", f"checkpoint:{key}")
        now = "" if self._clock is None else f"{self._clock():.6f}"
        keys = [self._prefix + name for name in names]
        return self._worker.submit(script, keys, (now, key, *arguments), parse)


def _saved(answer: list[Any]) -> Saved | None:
    attempt, seq, data = answer
    return None if data is None else Saved(int(attempt), int(seq), data)


def _check(key: str, answer: bytes) -> None:
    if answer == b"refused":
        raise refused(key)


def _text(bound: float | None) -> str:
    return "" if bound is None else str(bound)


def _packs(lines: Sequence[bytes]) -> Iterator[tuple[int | bytes, ...]]:
    for start in range(0, len(lines), _PACK):
        pack = lines[start : start + _PACK]
        yield len(pack), b"\n".join(pack)


def _page(key: str, after: Position | None, limit: int, answer: list[Any]) -> Page:
    if answer[0] == b"none":
        raise no_run(key)
    if answer[0] == b"gone":
        raise no_entry(key, after, _position(answer[1]))
    entries = [
        (attempt, seq, line)
        for name, pack in answer[2]
        for attempt, first in [_position(name)]
        for seq, line in enumerate(pack.split(b"\n"), first)
        if after is None or (attempt, seq) > after
    ]
    if len(entries) > limit:
        return Page(entries[:limit], "more")
    return Page(entries, answer[1].decode())


def _position(entry_id: bytes) -> Position:
    attempt, _, seq = entry_id.partition(b"-")
    return Position(int(attempt), int(seq))


def _names(answer: list[bytes]) -> list[str]:
    return [name.decode() for name in answer]


def _collect(marked: Future[list[str]], answers: Sequence[tuple[str, Future[bool]]]) -> None:
    try:
        marked.set_result([name for name, answer in answers if answer.result()])
    except Exception as error:
        marked.set_exception(error)
