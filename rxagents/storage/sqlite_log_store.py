"""Keep an event log in a file of SQLite."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.event_log.log_store import (
    LEASE_SECONDS,
    Begun,
    Page,
    Position,
    Retention,
    Saved,
    no_entry,
    no_run,
    refused,
    still_written,
)
from rxagents.runtime.event_log.memory_log_store import checked_retention
from rxagents.storage.log_tails import LogTails, then
from rxagents.storage.sqlite_run import SCHEMA, SQLiteRun, writable_run
from rxagents.storage.sqlite_writer import SQLiteWriter

_VERSION = 101
"""Apart from the versions of the other stores' files, which are then refused."""


class SQLiteLogStore:
    """Keeps runs in a file; several stores and processes may use one file at a time.

    The file is opened when the store is first used, and created if it does not exist; only its
    owner can read a new file. SQLite writes two more files beside it while it is open (`-wal` and
    `-shm`). The file must not be on a network drive, where SQLite's locks do not work.

    A reader sees an entry when it is on the disk. All reads and writes run on one thread, never on
    the event loop; what waits is committed together. Entries of other processes are looked for ten
    times a second.

    Args:
        path: The file; not that of a `SQLiteStore`.
        retention: The bounds of what is kept.
        clock: Returns the time in seconds, the same for all processes.

    Raises:
        ConfigurationError: `path` names no file, or `retention` is not a `Retention`.
    """

    poll_seconds: float | None = 0.1

    def __init__(
        self,
        path: str | os.PathLike[str],
        retention: Retention | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        if not isinstance(name, str) or name in {"", ":memory:"} or "\0" in name:
            raise ConfigurationError(
                f"path must be the path of a file, not {path!r}. To keep runs in memory use "
                "rxagents.MemoryLogStore()."
            )
        self._retention = checked_retention(retention)
        self._clock = clock
        self._writer = SQLiteWriter(name, SCHEMA, _VERSION)
        self._tails = LogTails(clock)

    def begin(self, key: str) -> Future[Begun]:
        """Begin the next attempt; see `LogStore.begin`."""

        def begin(connection: sqlite3.Connection) -> Begun:
            now = self._clock()
            connection.execute("INSERT OR IGNORE INTO runs (key) VALUES (?)", (key,))
            run = SQLiteRun.of(connection, key)
            assert run is not None, "it was inserted"
            if run.attempt and run.ended is None and run.lease > now:
                raise still_written(key, run.lease - now)
            if run.attempt and run.ended is None:
                run.interrupt(now)
            self._drop_old_runs(connection, run, now)
            previous = run.last_line()
            run.begin(now + LEASE_SECONDS)
            return Begun(run.attempt, previous, run.token)

        begun = self._writer.submit(begin)
        then(begun, lambda begun: self._tails.begin(key, begun))
        return begun

    def append(
        self, key: str, token: str, first: int, lines: Sequence[bytes], *, ends: bool
    ) -> Future[None]:
        """Add entries; see `LogStore.append`."""

        def append(connection: sqlite3.Connection) -> None:
            run = writable_run(connection, key, token)
            if run.next_seq != first:
                raise refused(key)
            now = self._clock()
            run.append(lines, now + LEASE_SECONDS, now if ends else None)
            run.drop_beyond(self._retention)

        appended = self._writer.submit(append)
        then(appended, lambda _: self._tails.append(key, token, lines, ends=ends))
        return appended

    def renew(self, key: str, token: str) -> Future[None]:
        """Renew the lease; see `LogStore.renew`."""

        def renew(connection: sqlite3.Connection) -> None:
            writable_run(connection, key, token).renew(self._clock() + LEASE_SECONDS)

        renewed = self._writer.submit(renew)
        then(renewed, lambda _: self._tails.renew(key, token))
        return renewed

    def save(self, key: str, token: str, data: bytes) -> Future[None]:
        """Keep a checkpoint; see `LogStore.save`."""

        def save(connection: sqlite3.Connection) -> None:
            writable_run(connection, key, token).save(data, self._clock() + LEASE_SECONDS)

        saved = self._writer.submit(save)
        then(saved, lambda _: self._tails.renew(key, token))
        return saved

    def saved(self, key: str) -> Future[Saved | None]:
        """Return the checkpoint; see `LogStore.saved`."""

        def saved(connection: sqlite3.Connection) -> Saved | None:
            run = SQLiteRun.of(connection, key)
            return None if run is None else run.saved()

        return self._writer.submit(saved, writes=False)

    def read(self, key: str, after: Position | None, limit: int) -> Page | Future[Page]:
        """Return entries; see `LogStore.read`."""
        return self._tails.read(key, after, limit) or self._writer.submit(
            partial(self._read, key, after, limit), writes=False
        )

    def _read(
        self, key: str, after: Position | None, limit: int, connection: sqlite3.Connection
    ) -> Page:
        run, now, age = SQLiteRun.of(connection, key), self._clock(), self._retention.age
        if run is None or (age is not None and run.ended is not None and run.ended + age < now):
            raise no_run(key)
        start = run.start(after)
        if start is None:
            raise no_entry(key, after, run.first())
        entries = run.entries(start, limit + 1)
        if len(entries) > limit:
            return Page(entries[:limit], "more")
        if run.ended is not None:
            return Page(entries, "ended")
        return Page(entries, "live" if run.lease > now else "lost")

    def lost(self) -> Future[list[str]]:
        """Return lost runs; see `LogStore.lost`."""

        def lost(connection: sqlite3.Connection) -> list[str]:
            return _lost(connection, self._clock(), None)

        return self._writer.submit(lost, writes=False)

    def interrupt(self, key: str | None) -> Future[list[str]]:
        """Mark lost runs; see `LogStore.interrupt`."""

        def interrupt(connection: sqlite3.Connection) -> list[str]:
            now = self._clock()
            keys = _lost(connection, now, key)
            for run in [SQLiteRun.of(connection, name) for name in keys]:
                if run is not None:
                    run.interrupt(now)
            return keys

        return self._writer.submit(interrupt)

    def forget(self, key: str) -> Future[None]:
        """Delete a run and overwrite its entries; see `LogStore.forget`."""

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM runs WHERE key = ?", (key,))
            self._tails.forget(key)

        return self._writer.submit(forget)

    def close(self) -> Future[None]:
        """Close the file after the writes that wait; the next use opens it again."""
        return self._writer.close()

    def _drop_old_runs(self, connection: sqlite3.Connection, kept: SQLiteRun, now: float) -> None:
        age, limit = self._retention.age, self._retention.runs
        if age is not None:
            connection.execute(
                "DELETE FROM runs WHERE ended < ? AND number <> ?", (now - age, kept.number)
            )
        if limit is not None:
            [count] = connection.execute("SELECT count(*) FROM runs").fetchone()
            connection.execute(
                "DELETE FROM runs WHERE number IN (SELECT number FROM runs WHERE ended IS NOT NULL "
                "AND number <> ? ORDER BY ended LIMIT ?)",
                (kept.number, max(0, count - limit)),
            )


def _lost(connection: sqlite3.Connection, now: float, key: str | None) -> list[str]:
    lost = connection.execute(
        "SELECT key FROM runs WHERE ended IS NULL AND lease <= ? AND key = ifnull(?, key)"
        " ORDER BY number",
        (now, key),
    )
    return [name for [name] in lost.fetchall()]
