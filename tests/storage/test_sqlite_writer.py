"""`SQLiteWriter`: batches, order, failures, cancellation and the file."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from rxagents import StorageError
from rxagents.storage import sqlite_writer
from rxagents.storage.sqlite_writer import SQLiteWriter

SCHEMA = ("CREATE TABLE words (word TEXT NOT NULL UNIQUE)",)
SECONDS = 30


def writer_of(folder: Path) -> SQLiteWriter:
    return SQLiteWriter(folder / "words.db", SCHEMA, 1)


def insert(word: str | None) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO words VALUES (?)", (word,))

    return work


def words(connection: sqlite3.Connection) -> list[str]:
    return [word for [word] in connection.execute("SELECT word FROM words ORDER BY rowid")]


def stored(writer: SQLiteWriter) -> list[str]:
    return writer.submit(words, writes=False).result(SECONDS)


class Held:
    """Work that holds the writer's thread until `release`."""

    def __init__(self, writer: SQLiteWriter) -> None:
        self._is_running = threading.Event()
        self._go_on = threading.Event()
        self.future = writer.submit(self._work)
        assert self._is_running.wait(SECONDS)

    def _work(self, _: sqlite3.Connection) -> None:
        self._is_running.set()
        assert self._go_on.wait(SECONDS)

    def release(self) -> None:
        self._go_on.set()
        self.future.result(SECONDS)


def counted_commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives the statements that begin a transaction."""
    begun: list[str] = []
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(
            lambda statement: begun.append(statement) if "BEGIN" in statement else None
        )
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return begun


def test_queued_work_is_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = writer_of(tmp_path)
    assert stored(writer) == []
    writer.close().result(SECONDS)
    begun = counted_commits(monkeypatch)
    held = Held(writer)
    futures = [writer.submit(insert(str(number))) for number in range(50)]
    held.release()
    wait(futures, SECONDS)
    assert stored(writer) == [str(number) for number in range(50)]
    # The file's, the held work's, that of all 50, and at most one more for the read.
    assert begun[:3] == ["BEGIN IMMEDIATE"] * 3
    assert begun[3:] == ["BEGIN DEFERRED"]


def test_failed_work_undoes_only_itself(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)

    def half(connection: sqlite3.Connection) -> None:
        insert("half")(connection)
        raise KeyError("half")

    held = Held(writer)
    futures = [writer.submit(each) for each in (insert("a"), half, insert("a"), insert("b"))]
    held.release()
    wait(futures, SECONDS)
    assert [type(each.exception()) for each in futures] == [
        type(None),
        KeyError,
        StorageError,
        type(None),
    ]
    assert stored(writer) == ["a", "b"]


def test_failed_transaction_fails_all_its_work(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)

    def lose(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # as SQLite does when the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    held = Held(writer)
    futures = [writer.submit(each) for each in (insert("a"), lose, insert("b"))]
    held.release()
    wait(futures, SECONDS)
    for future in futures:
        with pytest.raises(StorageError, match=r"words\.db: database or disk is full.*disk has"):
            future.result(SECONDS)
    writer.submit(insert("c")).result(SECONDS)
    assert stored(writer) == ["c"]


def test_cancelled_work_does_not_run(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    held = Held(writer)
    first, second = writer.submit(insert("a")), writer.submit(insert("b"))
    assert first.cancel()
    assert not held.future.cancel()
    held.release()
    second.result(SECONDS)
    assert stored(writer) == ["b"]


def test_result_comes_after_the_commit(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    seen: list[list[str]] = []
    future: Future[None] = writer.submit(insert("a"))
    future.result(SECONDS)
    other = sqlite3.connect(tmp_path / "words.db")
    seen.append(words(other))
    other.close()
    assert seen == [["a"]]


def test_thread_ends_with_its_work(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    for _ in range(3):
        assert stored(writer) == []
        for thread in threading.enumerate():
            if "words.db" in thread.name:
                assert thread.daemon
                thread.join(SECONDS)
                assert not thread.is_alive()


def test_many_threads_may_submit(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)

    def submit(name: int) -> None:
        for number in range(100):
            writer.submit(insert(f"{name} {number}")).result(SECONDS)

    threads = [threading.Thread(target=submit, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored(writer)) == 800


def test_close_waits_for_queued_work(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    held = Held(writer)
    before, closed, after = writer.submit(insert("a")), writer.close(), writer.submit(insert("b"))
    held.release()
    wait([before, closed, after], SECONDS)
    assert stored(writer) == ["a", "b"]
    writer.close().result(SECONDS)
    assert [path.name for path in tmp_path.iterdir()] == ["words.db"]  # the journal is merged
    writer.close().result(SECONDS)


def test_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    assert stored(writer) == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_other_writer_waits_for_the_lock(tmp_path: Path) -> None:
    one, other = writer_of(tmp_path), writer_of(tmp_path)
    held = Held(one)
    waiting = other.submit(insert("b"))
    one.submit(insert("a"))
    held.release()
    waiting.result(SECONDS)
    assert sorted(stored(one)) == ["a", "b"]


def test_locked_file_is_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "_LOCKED_SECONDS", 0.01)
    one, other = writer_of(tmp_path), writer_of(tmp_path)
    assert stored(other) == []
    held = Held(one)
    with pytest.raises(StorageError, match="database is locked"):
        other.submit(insert("b")).result(SECONDS)
    held.release()
    other.submit(insert("b")).result(SECONDS)


def test_missing_folder_is_storage_error(tmp_path: Path) -> None:
    writer = SQLiteWriter(tmp_path / "none" / "words.db", SCHEMA, 1)
    with pytest.raises(StorageError, match=r"words\.db: .*in a folder that exists"):
        stored(writer)
    (tmp_path / "none").mkdir()
    assert stored(writer) == []


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.db").write_text("Dear diary, " * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        stored(writer_of(tmp_path))
    assert (tmp_path / "words.db").read_text().startswith("Dear diary")


@pytest.mark.parametrize("version", [0, 2])
def test_database_of_another_program_is_refused(tmp_path: Path, version: int) -> None:
    other = sqlite3.connect(tmp_path / "words.db")
    other.execute("CREATE TABLE tunes (name)")
    other.execute(f"PRAGMA user_version = {version}")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match=f"the user_version {version}, not 1. Use another path"):
        stored(writer_of(tmp_path))
