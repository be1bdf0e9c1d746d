"""Run the work of one SQLite file on one thread, in batches.

Theory of operation. Every piece of work on a file, also a read, is a function of the connection.
`submit` queues it and returns a `concurrent.futures.Future`, which any event loop can wait for.
One thread takes all work that is queued, runs it in one transaction and commits; what is queued
meanwhile is the next batch. So one commit, which waits for the disk, serves all callers that
waited at that time.

- A future gets its result after the commit, so nobody sees work that a crash would undo.
- Each piece of work has a savepoint: if it raises, its own changes are undone and the rest of the
  batch is committed.
- Cancelling a future removes its work if it has not begun. Work that has begun is committed as a
  whole.
- Work runs in the order of `submit`. A read after a write, also one whose caller was cancelled,
  sees the write.
- The thread ends when the queue is empty, and the next `submit` starts another: a writer that
  nobody closes leaves no thread. `_lock` guards the queue and `_is_working`; the connection
  belongs to the thread that works, and there is at most one.
- The thread is a daemon: work that nobody waits for any more does not keep the program from
  ending. The journal (WAL) undoes a transaction that was cut off.
- Work that writes begins with `BEGIN IMMEDIATE`. A transaction that begins with a read and then
  writes fails at once, without the timeout, if another process has written in between.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rxagents.core.errors import StorageError

T = TypeVar("T")

_MAX_BATCH = 1000
"""How much work one transaction takes: the first of it waits for the last."""

_LOCKED_SECONDS = 10.0
"""How long to wait for another process that writes to the file."""


class SQLiteWriter:
    """Reads and writes one SQLite file on one thread; any thread may call it.

    The file is opened, and created if it does not exist, with the first work. A new file can be
    read by its owner only.

    Args:
        path: The file.
        schema: The statements that create the tables of a new file.
        version: The version of the schema, 1 or more; a file with another one is refused.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Sequence[str], version: int) -> None:
        self.path = Path(path)
        self._schema = schema
        self._version = version
        self._lock = threading.Lock()
        self._queue: deque[_Work] = deque()
        self._is_working = False
        self._connection: sqlite3.Connection | None = None

    def submit(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = True) -> Future[T]:
        """Queue work, and return the future of its result.

        Args:
            work: Called with the connection, on the writer's thread, in a transaction. It must
                neither commit nor keep the connection.
            writes: Whether the work may change the file.

        Returns:
            A future that is set after the commit. It fails with `StorageError` if SQLite does, and
            with what `work` raises.
        """
        future: Future[T] = Future()
        self._put(_Work(work, future, writes))
        return future

    def close(self) -> Future[None]:
        """Close the file after the work that is queued; later work opens it again."""
        future: Future[None] = Future()
        self._put(_Work(None, future, writes=False))
        return future

    def _put(self, work: _Work) -> None:
        with self._lock:
            self._queue.append(work)
            if self._is_working:
                return
            name = f"rxagents writes {self.path.name}"
            threading.Thread(target=self._run, name=name, daemon=True).start()
            self._is_working = True

    def _run(self) -> None:
        while batch := self._next_batch():
            if batch[0].run is None:
                self._close(batch[0].future)
            else:
                self._commit(batch)

    def _next_batch(self) -> list[_Work]:
        """Return the work up to the next `close`; a `close` is a batch of its own."""
        batch: list[_Work] = []
        with self._lock:
            while self._queue and len(batch) < _MAX_BATCH:
                if self._queue[0].run is None:
                    return batch or [self._queue.popleft()]
                batch.append(self._queue.popleft())
            self._is_working = bool(batch)
        return batch

    def _close(self, future: Future[Any]) -> None:
        connection, self._connection = self._connection, None
        failure: StorageError | None = None
        try:
            if connection is not None:
                connection.close()
        except sqlite3.Error as error:
            failure = self._failure(error)
        if not future.set_running_or_notify_cancel():
            return
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)

    def _commit(self, batch: Sequence[_Work]) -> None:
        begun = [work for work in batch if work.future.set_running_or_notify_cancel()]
        if not begun:
            return
        try:
            outcomes = self._in_transaction(begun)
        except Exception as error:
            outcomes = [partial(work.future.set_exception, self._failure(error)) for work in begun]
        for set_outcome in outcomes:
            set_outcome()

    def _in_transaction(self, begun: Sequence[_Work]) -> list[Callable[[], None]]:
        """Run and commit work; return functions that set the outcomes."""
        connection = self._connection = self._connection or self._open()
        mode = "IMMEDIATE" if any(work.writes for work in begun) else "DEFERRED"
        connection.execute(f"BEGIN {mode}")
        try:
            outcomes = [self._in_savepoint(connection, work) for work in begun]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _in_savepoint(self, connection: sqlite3.Connection, work: _Work) -> Callable[[], None]:
        connection.execute("SAVEPOINT work")
        try:
            result = work.run(connection) if work.run is not None else None
        except BaseException as error:
            if not connection.in_transaction:
                raise  # a full disk, for one, undoes the work of the whole batch
            connection.execute("ROLLBACK TO work")
            failure = self._failure(error) if isinstance(error, sqlite3.Error) else error
            set_outcome = partial(work.future.set_exception, failure)
        else:
            set_outcome = partial(work.future.set_result, result)
        connection.execute("RELEASE work")
        return set_outcome

    def _open(self) -> sqlite3.Connection:
        # Only a file that does not exist: closing another descriptor of an open database would
        # drop its locks (https://sqlite.org/howtocorrupt.html, section 2.2).
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _keep_journal(connection)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            self._create_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")  # another process may be creating them
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (version, tables) == (0, 0):
            for statement in self._schema:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {self._version}")
        elif version != self._version:
            raise StorageError(
                f"{self.path} is not a file of this store: it is a SQLite file with {tables} "
                f"tables and indexes and the user_version {version}, not {self._version}. Use "
                "another path."
            )
        connection.execute("COMMIT")

    def _failure(self, error: BaseException) -> StorageError:
        if isinstance(error, StorageError):
            return error
        failure = StorageError(
            f"SQLite could not use {self.path}: {error}. Check that the path is a file that can be "
            "written, in a folder that exists, and that the disk has space."
        )
        failure.__cause__ = error
        return failure


def _keep_journal(connection: sqlite3.Connection) -> None:
    """Switch to the journal WAL; SQLite itself does not wait here for another process."""
    deadline = time.monotonic() + _LOCKED_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


_PRAGMAS = (
    "synchronous = FULL",  # a commit survives the loss of power
    "foreign_keys = ON",
    "secure_delete = ON",  # what is deleted is overwritten
)


class _Work:
    """Queued work; without `run` it closes the file."""

    def __init__(
        self,
        run: Callable[[sqlite3.Connection], Any] | None,
        future: Future[Any],
        writes: bool,
    ) -> None:
        self.run = run
        self.future = future
        self.writes = writes
