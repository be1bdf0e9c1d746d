"""Keep conversations in a file of SQLite."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from rxagents.core.errors import ConfigurationError, StorageError
from rxagents.core.exchange import Exchange, message_text
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.surrogates import replace_surrogates
from rxagents.storage.conversation_store import Snapshot, StoredConversation, to_json
from rxagents.storage.sqlite_writer import SQLiteWriter

T = TypeVar("T")

_VERSION = 2

_SCHEMA = (
    # AUTOINCREMENT uses no number twice, so that the number can be the generation.
    """CREATE TABLE conversations (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        summary TEXT NOT NULL,
        dropped INTEGER NOT NULL DEFAULT 0,
        changed REAL NOT NULL)""",
    """CREATE TABLE exchanges (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
        messages TEXT NOT NULL,
        words TEXT NOT NULL)""",
    # A run that goes on with an exchange names its number, so that no two runs go on with one.
    """CREATE TABLE deferred (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL UNIQUE
            REFERENCES conversations (number) ON DELETE CASCADE,
        messages TEXT NOT NULL)""",
    "CREATE INDEX exchanges_of_conversation ON exchanges (conversation, number)",
    "CREATE INDEX conversations_by_time ON conversations (changed)",
)


class SQLiteStore:
    """Keeps conversations in a file; several stores and processes may use one file at a time.

    The file is opened when the store is first used, and created if it does not exist; only its
    owner can read a new file. SQLite writes two more files beside it while it is open (`-wal` and
    `-shm`). The file must not be on a network drive, where SQLite's locks do not work.

    A write is done when it is on the disk: what a run has stored before its `Complete` survives a
    crash. All reads and writes run on one thread, never on the event loop.

    Args:
        path: The file.

    Raises:
        ConfigurationError: `path` names no file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        if not isinstance(name, str) or name in {"", ":memory:"} or "\0" in name:
            raise ConfigurationError(
                f"path must be the path of a file, not {path!r}. To keep conversations in memory "
                "use rxagents.MemoryStore()."
            )
        self._writer = SQLiteWriter(name, _SCHEMA, _VERSION)

    async def read(self, conversation_id: str) -> Snapshot:
        """Return a conversation; an unknown one is empty.

        Raises:
            StorageError: SQLite failed.
        """
        key = replace_surrogates(conversation_id)
        return await self._run(lambda connection: _read(connection, key), writes=False)

    async def append(
        self,
        conversation_id: str,
        exchange: Exchange,
        start: Snapshot,
        *,
        outgrown: int = 0,
        summary: str = "",
        deferred: bool = False,
    ) -> None:
        """Add the exchange of a run; see `ConversationStore.append`.

        Raises:
            StorageError: SQLite failed.
        """
        key = replace_surrogates(conversation_id)

        def append(connection: sqlite3.Connection) -> None:
            row = _row(connection, key)
            if start.generation and (row is None or row.generation != start.generation):
                return
            if row is None:
                row = Snapshot(generation=_insert(connection, key, ""))
            if row.dropped == start.dropped:
                _summarize(connection, row.generation, outgrown, summary)
            if deferred:
                _defer(connection, row.generation, exchange)
            else:
                _add(connection, row.generation, [exchange])
                _take_deferred(connection, row.generation, start.deferral)
            connection.execute(
                "UPDATE conversations SET changed = ? WHERE number = ?",
                (time.time(), row.generation),
            )

        await self._run(append)

    async def take_deferred(self, conversation_id: str, start: Snapshot) -> bool:
        """Delete the deferred exchange of `start`; return whether it was still there.

        Raises:
            StorageError: SQLite failed.
        """
        key = replace_surrogates(conversation_id)

        def take(connection: sqlite3.Connection) -> bool:
            row = _row(connection, key)
            return row is not None and _take_deferred(connection, row.generation, start.deferral)

        return await self._run(take)

    async def replace(self, conversation_id: str, conversation: StoredConversation) -> None:
        """Store a conversation in place of the one with this id.

        Raises:
            StorageError: SQLite failed.
        """
        key = replace_surrogates(conversation_id)

        def replace(connection: sqlite3.Connection) -> None:
            _delete(connection, key)
            generation = _insert(connection, key, conversation.summary)
            _add(connection, generation, conversation.exchanges)
            if conversation.deferred:
                _defer(connection, generation, conversation.deferred)

        await self._run(replace)

    async def forget(self, conversation_id: str) -> None:
        """Delete a conversation and overwrite its data; an unknown one is no error.

        Raises:
            StorageError: SQLite failed.
        """
        key = replace_surrogates(conversation_id)
        await self._run(lambda connection: _delete(connection, key))

    async def ids(self, text: str = "") -> list[str]:
        """Return the ids of the conversations; see `ConversationStore.ids`.

        Raises:
            StorageError: SQLite failed.
        """
        wanted = replace_surrogates(text).casefold()

        def ids(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute(
                "SELECT id FROM conversations WHERE :text = '' OR EXISTS (SELECT 1 FROM exchanges "
                "WHERE conversation = conversations.number AND instr(words, :text)) "
                "ORDER BY changed DESC, number DESC",
                {"text": wanted},
            )
            return [key for [key] in found]

        return await self._run(ids, writes=False)

    async def aclose(self) -> None:
        """Close the file after the writes that wait; the next use opens it again."""
        await asyncio.wrap_future(self._writer.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = True) -> T:
        return await asyncio.wrap_future(self._writer.submit(work, writes=writes))


def _row(connection: sqlite3.Connection, key: str) -> Snapshot | None:
    """Return a conversation without its exchanges; `None` if there is none with this id."""
    row = connection.execute(
        "SELECT summary, number, dropped FROM conversations WHERE id = ?", (key,)
    ).fetchone()
    return None if row is None else Snapshot((), *row)


def _read(connection: sqlite3.Connection, key: str) -> Snapshot:
    row = _row(connection, key)
    if row is None:
        return Snapshot()
    rows = connection.execute(
        "SELECT messages FROM exchanges WHERE conversation = ? ORDER BY number", (row.generation,)
    )
    waiting = connection.execute(
        "SELECT messages, number FROM deferred WHERE conversation = ?", (row.generation,)
    ).fetchone()
    messages, deferral = waiting or (b"[]", 0)
    try:
        exchanges = tuple(msgspec.json.decode(messages, type=Exchange) for [messages] in rows)
        deferred = msgspec.json.decode(messages, type=Exchange)
    except JSON_ERRORS as error:
        raise StorageError(
            f"The conversation {key!r} cannot be read, its messages are not as this version of "
            f"rxagents stores them: {error}. Forget the conversation, or use the version that "
            "wrote it."
        ) from error
    return msgspec.structs.replace(row, exchanges=exchanges, deferred=deferred, deferral=deferral)


def _insert(connection: sqlite3.Connection, key: str, summary: str) -> int:
    """Insert an empty conversation; return its generation."""
    inserted = connection.execute(
        "INSERT INTO conversations (id, summary, changed) VALUES (?, ?, ?)",
        (key, replace_surrogates(summary), time.time()),
    )
    return inserted.lastrowid or 0


def _add(connection: sqlite3.Connection, generation: int, exchanges: Iterable[Exchange]) -> None:
    connection.executemany(
        "INSERT INTO exchanges (conversation, messages, words) VALUES (?, ?, ?)",
        [(generation, to_json(each).decode(), _words(each)) for each in exchanges],
    )


def _defer(connection: sqlite3.Connection, generation: int, exchange: Exchange) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO deferred (conversation, messages) VALUES (?, ?)",
        (generation, to_json(exchange).decode()),
    )


def _take_deferred(connection: sqlite3.Connection, generation: int, deferral: int) -> bool:
    deleted = connection.execute(
        "DELETE FROM deferred WHERE conversation = ? AND number = ?", (generation, deferral)
    )
    return deleted.rowcount > 0


def _words(exchange: Exchange) -> str:
    """Return the text that a search looks at."""
    return replace_surrogates("\n".join(map(message_text, exchange)).casefold())


def _summarize(
    connection: sqlite3.Connection, generation: int, outgrown: int, summary: str
) -> None:
    """Replace the oldest exchanges with a summary."""
    if outgrown:
        connection.execute(
            "DELETE FROM exchanges WHERE number IN (SELECT number FROM exchanges "
            "WHERE conversation = ? ORDER BY number LIMIT ?)",
            (generation, outgrown),
        )
    connection.execute(
        "UPDATE conversations SET summary = ?, dropped = dropped + ? WHERE number = ?",
        (replace_surrogates(summary), outgrown, generation),
    )


def _delete(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("DELETE FROM conversations WHERE id = ?", (key,))
