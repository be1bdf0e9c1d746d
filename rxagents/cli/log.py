"""Keep what was asked and answered, and find it again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path

import msgspec
from msgspec import Struct, field

from rxagents.cli.config import data_folder
from rxagents.core.errors import ConfigurationError, StorageError
from rxagents.core.exchange import Exchange
from rxagents.core.messages import Message, Part
from rxagents.storage.conversation_store import Snapshot
from rxagents.storage.sqlite_store import SQLiteStore

_KEY = "cli"
"""The key of `Info` in the `provider_data` of a user's message, which all wires ignore."""


class Info(Struct, frozen=True):
    """Model, system prompt and time of an exchange, as the log keeps them.

    Attributes:
        model: The model string or alias; empty for an agent of the user's own.
        system: The system prompt.
        time: Seconds since the epoch.
    """

    model: str = ""
    system: str = ""
    time: float = field(default_factory=time.time)


class Entry(Struct, frozen=True):
    """An exchange of the log.

    Attributes:
        conversation: The id of its conversation.
        model: As `Info.model`.
        system: As `Info.system`.
        time: When it was asked, in ISO 8601 and local time.
        prompt: What the user said.
        response: The last text of the model.
        tools: The names of the tools that the model called, in order.
    """

    conversation: str
    model: str
    system: str
    time: str
    prompt: str
    response: str
    tools: tuple[str, ...] = ()

    @classmethod
    def of(cls, conversation: str, exchange: Exchange) -> Entry:
        """Make the entry of an exchange."""
        info = info_of([exchange])
        said = [message for message in exchange if _KEY in message.provider_data] or exchange[:1]
        answers = [message for message in exchange if message.role == "assistant"]
        return cls(
            conversation,
            info.model,
            info.system,
            datetime.fromtimestamp(info.time).astimezone().isoformat(timespec="seconds"),
            "\n\n".join(message.text for message in said),
            answers[-1].text if answers else "",
            tuple(call.name for message in answers for call in message.tool_calls),
        )


class Log(Struct, frozen=True):
    """The log: a file of conversations, and a file that exists while nothing is to be logged.

    Attributes:
        folder: The folder of both.
    """

    folder: Path = field(default_factory=data_folder)

    @property
    def path(self) -> Path:
        """The file of the conversations."""
        return self.folder / "conversations.db"

    @property
    def is_on(self) -> bool:
        """Whether commands write to the log."""
        return not self._off.exists()

    def switch(self, *, on: bool) -> None:
        """Let commands write to the log from now on, or not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if on:
            self._off.unlink(missing_ok=True)
        else:
            self._off.touch()

    def store(self) -> SQLiteStore:
        """Return the store of the conversations.

        Raises:
            StorageError: Its folder cannot be created.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(f"The folder of the log cannot be created: {error}.") from error
        return SQLiteStore(self.path)

    @property
    def _off(self) -> Path:
        return self.folder / "logs-off"


def user_message(parts: Sequence[str | Part], info: Info) -> Message:
    """Return a message of the user that the log knows again."""
    message = Message.user(*parts)
    return msgspec.structs.replace(message, provider_data={_KEY: msgspec.to_builtins(info)})


def info_of(exchanges: Sequence[Exchange]) -> Info:
    """Return what is known of the last of these exchanges."""
    for exchange in reversed(exchanges):
        for message in exchange:
            if _KEY in message.provider_data:
                try:
                    return msgspec.convert(message.provider_data[_KEY], Info)
                except msgspec.ValidationError:
                    continue  # another version wrote it
    return Info(time=0.0)


def new_id() -> str:
    """Return the id of a new conversation, which starts with the date."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


async def find(store: SQLiteStore, conversation: str | None) -> tuple[str, Snapshot]:
    """Return a conversation to continue.

    Args:
        store: The store.
        conversation: The id, or its first characters; `None` for the last one that was used.

    Raises:
        ConfigurationError: There is none, or several begin with these characters.
        StorageError: SQLite failed.
    """
    ids = await store.ids()
    found = [key for key in ids if conversation is None or key.startswith(conversation)]
    if conversation in found:
        found = [conversation]
    if not found:
        asked = "to continue" if conversation is None else f"with the id {conversation!r}"
        raise ConfigurationError(
            f"There is no conversation {asked}: 'rxagents logs --short' lists those that are kept."
        )
    if conversation is not None and len(found) > 1:
        raise ConfigurationError(
            f"{len(found)} conversations begin with {conversation!r}: {', '.join(found[:5])}."
        )
    return found[0], await store.read(found[0])


async def entries(
    store: SQLiteStore, count: int, *, query: str = "", model: str = "", conversation: str = ""
) -> list[Entry]:
    """Return the last entries, the oldest first.

    Args:
        store: The store.
        count: How many; 0 for all.
        query: Only entries in which this text occurs, in any case.
        model: Only entries of this model.
        conversation: Only entries of this conversation.

    Raises:
        StorageError: SQLite failed.
    """
    ids = [conversation] if conversation else await store.ids(query)
    if count and not (model or query):
        ids = ids[:count]  # each has an exchange that is newer than all of the next
    found = [
        (info_of([exchange]).time, Entry.of(key, exchange))
        for key in ids
        for exchange in (await store.read(key)).exchanges
    ]
    found.sort(key=itemgetter(0))
    wanted = query.casefold()
    wanted_entries = [
        entry
        for _, entry in found
        if wanted in f"{entry.prompt}\n{entry.response}".casefold() and model in {"", entry.model}
    ]
    return wanted_entries[-count:] if count else wanted_entries
