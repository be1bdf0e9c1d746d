"""Read and change one run of an event log in a file of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from rxagents.runtime.event_log.log_store import (
    INTERRUPTED,
    Position,
    Retention,
    Saved,
    new_token,
    refused,
)

SCHEMA = (
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        attempt INTEGER NOT NULL DEFAULT 0,
        token TEXT NOT NULL DEFAULT '',
        next_seq INTEGER NOT NULL DEFAULT 1,
        count INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0,
        lease REAL NOT NULL DEFAULT 0,
        ended REAL)""",
    """CREATE TABLE entries (
        run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
        attempt INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        line BLOB NOT NULL,
        PRIMARY KEY (run, attempt, seq)) WITHOUT ROWID""",
    # Apart from `runs`: each change of a row writes all of it.
    """CREATE TABLE checkpoints (
        run INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE,
        attempt INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE INDEX runs_by_end ON runs (ended)",
)


class SQLiteRun:
    """A row of the table of runs, inside one transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        number: int,
        attempt: int,
        next_seq: int,
        count: int,
        size: int,
        lease: float,
        ended: float | None,
        token: str,
    ) -> None:
        self._connection = connection
        self.number = number
        self.attempt = attempt
        self.next_seq = next_seq
        self.count = count
        self.size = size
        self.lease = lease
        self.ended = ended
        self.token = token

    @classmethod
    def of(cls, connection: sqlite3.Connection, key: str) -> SQLiteRun | None:
        """Return the run with this key."""
        row = connection.execute(
            "SELECT number, attempt, next_seq, count, size, lease, ended, token FROM runs "
            "WHERE key = ?",
            (key,),
        ).fetchone()
        return None if row is None else cls(connection, *row)

    def begin(self, lease: float) -> None:
        """Begin the next attempt."""
        self.attempt, self.next_seq, self.token = self.attempt + 1, 1, new_token()
        self._connection.execute(
            "UPDATE runs SET attempt = ?, token = ?, next_seq = 1, lease = ?, ended = NULL "
            "WHERE number = ?",
            (self.attempt, self.token, lease, self.number),
        )

    def interrupt(self, now: float) -> None:
        """End the run with an attempt that is only the mark."""
        self.begin(now)
        self.append([INTERRUPTED], now, now)

    def append(self, lines: Sequence[bytes], lease: float, ended: float | None) -> None:
        """Add entries."""
        rows = [
            (self.number, self.attempt, seq, line) for seq, line in enumerate(lines, self.next_seq)
        ]
        self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
        self.next_seq += len(lines)
        self.count += len(lines)
        self.size += sum(map(len, lines))
        self._connection.execute(
            "UPDATE runs SET next_seq = ?, count = ?, size = ?, lease = ?, ended = ? "
            "WHERE number = ?",
            (self.next_seq, self.count, self.size, lease, ended, self.number),
        )

    def renew(self, lease: float) -> None:
        """Set the end of the lease."""
        self._connection.execute("UPDATE runs SET lease = ? WHERE number = ?", (lease, self.number))

    def save(self, data: bytes, lease: float) -> None:
        """Replace the checkpoint."""
        self._connection.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)",
            (self.number, self.attempt, self.next_seq - 1, data),
        )
        self.renew(lease)

    def saved(self) -> Saved | None:
        """Return the checkpoint."""
        row = self._connection.execute(
            "SELECT attempt, seq, data FROM checkpoints WHERE run = ?", (self.number,)
        ).fetchone()
        return None if row is None else Saved(*row)

    def drop_beyond(self, retention: Retention) -> None:
        """Drop the oldest entries beyond the bounds; the newest stays."""
        count, size = self.count, self.size
        most = retention.entries or count
        largest = size if retention.bytes is None else retention.bytes
        if count <= most and size <= largest:
            return
        last: Position | None = None
        oldest = self._connection.execute(
            "SELECT attempt, seq, length(line) FROM entries WHERE run = ? ORDER BY attempt, seq",
            (self.number,),
        )
        for attempt, seq, length in oldest:
            if count <= 1 or (count <= most and size <= largest):
                break
            last = Position(attempt, seq)
            count, size = count - 1, size - length
        oldest.close()
        if last is not None:
            self._connection.execute(
                "DELETE FROM entries WHERE run = ? AND (attempt, seq) <= (?, ?)",
                (self.number, *last),
            )
            self._connection.execute(
                "UPDATE runs SET count = ?, size = ? WHERE number = ?", (count, size, self.number)
            )

    def last_line(self) -> bytes | None:
        """Return the newest entry."""
        row = self._connection.execute(
            "SELECT line FROM entries WHERE run = ? ORDER BY attempt DESC, seq DESC LIMIT 1",
            (self.number,),
        ).fetchone()
        return None if row is None else row[0]

    def first(self) -> Position:
        """Return the first entry that is kept, or will be."""
        row = self._connection.execute(
            "SELECT attempt, seq FROM entries WHERE run = ? ORDER BY attempt, seq LIMIT 1",
            (self.number,),
        ).fetchone()
        return Position(self.attempt, self.next_seq) if row is None else Position(*row)

    def start(self, after: Position | None) -> Position | None:
        """Return the position before the entries to read; `None` if it is not kept."""
        if after is None:
            [attempt] = self._connection.execute(
                "SELECT min(attempt) FROM entries WHERE run = ? AND seq = 1", (self.number,)
            ).fetchone()
            if attempt is None and self.next_seq == 1:
                attempt = self.attempt
            return None if attempt is None else Position(attempt, 0)
        if after == (self.attempt, self.next_seq - 1):
            return after
        found = self._connection.execute(
            "SELECT 1 FROM entries WHERE run = ? AND attempt = ? AND seq IN (?, ?)",
            (self.number, after.attempt, after.seq, after.seq + 1),
        ).fetchone()
        return None if found is None else after

    def entries(self, after: Position, limit: int) -> list[tuple[int, int, bytes]]:
        """Return entries in their order."""
        return self._connection.execute(
            "SELECT attempt, seq, line FROM entries WHERE run = ? AND (attempt, seq) > (?, ?) "
            "ORDER BY attempt, seq LIMIT ?",
            (self.number, *after, limit),
        ).fetchall()


def writable_run(connection: sqlite3.Connection, key: str, token: str) -> SQLiteRun:
    """Return a run that the attempt with this token may write to.

    Raises:
        LeaseError: The attempt is not the latest, or has ended.
    """
    run = SQLiteRun.of(connection, key)
    if run is None or run.token != token or run.ended is not None:
        raise refused(key)
    return run
