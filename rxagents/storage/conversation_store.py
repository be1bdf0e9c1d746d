"""Define what a store of conversations does, and the values that it keeps."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import msgspec
from msgspec import Struct

from rxagents.core.errors import ConfigurationError
from rxagents.core.exchange import Exchange, is_whole
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.core.surrogates import replace_all_surrogates

_JSON_DEPTH = 2 * DEFAULT_LIMITS.json_depth
"""Room for data that a wire sent, which may be that deep, and for the conversation around it."""


class StoredConversation(Struct, frozen=True, forbid_unknown_fields=True):
    """A conversation, as it is exported.

    Attributes:
        exchanges: The exchanges, oldest first.
        summary: The summary of the exchanges before them; empty if there is none.
        deferred: The exchange of a run whose calls wait for decisions; empty if there is none.
    """

    exchanges: tuple[Exchange, ...] = ()
    summary: str = ""
    deferred: Exchange = ()


class Snapshot(Struct, frozen=True):
    """A conversation as it stood when a store read it.

    Attributes:
        exchanges: The exchanges, oldest first.
        summary: The summary of the exchanges before them; empty if there is none.
        generation: Identifies the conversation; 0 if the store has none with this id. A
            conversation that was replaced, or forgotten and begun again, has another generation.
        dropped: The number of exchanges that a summary has replaced so far.
        deferred: The exchange of a run whose calls wait for decisions; empty if there is none.
        deferral: Identifies the deferred exchange; 0 if there is none.
    """

    exchanges: tuple[Exchange, ...] = ()
    summary: str = ""
    generation: int = 0
    dropped: int = 0
    deferred: Exchange = ()
    deferral: int = 0


class ConversationStore(Protocol):
    """Keeps conversations by their ids.

    Each method is a plain function that returns its result at once, or a coroutine function. A
    plain function must not block: it is called on the event loop.

    Each change is atomic: after a crash it is stored as a whole or not at all.
    """

    def read(self, conversation_id: str) -> Snapshot | Awaitable[Snapshot]:
        """Return a conversation; an unknown one is empty."""
        ...

    def append(
        self,
        conversation_id: str,
        exchange: Exchange,
        start: Snapshot,
        *,
        outgrown: int = 0,
        summary: str = "",
        deferred: bool = False,
    ) -> Awaitable[None] | None:
        """Add the exchange of a run, in one change with the summary that the run used or wrote.

        The deferred exchange of `start` is deleted, if it is still there: the run has answered its
        calls. With `deferred` the exchange is kept beside the others, in place of any other
        deferred one, until a run answers its calls.

        Nothing is stored if the conversation was forgotten or replaced since `start`: it has
        another generation, or none. `start.generation` 0 creates the conversation if it does not
        exist. If another run has stored a summary since `start` (`dropped` differs), the
        exchange is added and the summary is not.

        Args:
            conversation_id: The id of the conversation.
            exchange: The messages of the exchange.
            start: The conversation that the run started from.
            outgrown: How many of the oldest exchanges in `start` a new summary replaces.
            summary: The summary of all exchanges that were dropped.
            deferred: Whether calls of the exchange wait for decisions.
        """
        ...

    def take_deferred(self, conversation_id: str, start: Snapshot) -> bool | Awaitable[bool]:
        """Delete the deferred exchange of `start`; return whether it was still there.

        Of two runs that take one exchange, also in two processes, only one gets `True`.
        """
        ...

    def replace(
        self, conversation_id: str, conversation: StoredConversation
    ) -> Awaitable[None] | None:
        """Store a conversation in place of the one with this id."""
        ...

    def forget(self, conversation_id: str) -> Awaitable[None] | None:
        """Delete a conversation; an unknown one is no error."""
        ...

    def ids(self, text: str = "") -> list[str] | Awaitable[list[str]]:
        """Return the ids of the conversations, the most recently changed first.

        Args:
            text: Return only the conversations with a message that contains this text, in any
                case.
        """
        ...


def to_json(value: object) -> bytes:
    """Return a conversation or an exchange as JSON.

    JSON has no lone surrogates (text that was decoded wrongly has them): each becomes `?`, as in
    the requests to providers.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(replace_all_surrogates(msgspec.to_builtins(value)))


def read_exported(exported: str | bytes) -> StoredConversation:
    """Return the conversation that `to_json` wrote.

    Raises:
        ConfigurationError: `exported` is not an exported conversation.
    """
    try:
        data = exported.encode() if isinstance(exported, str) else bytes(memoryview(exported))
        if is_deeper(data, _JSON_DEPTH):
            raise ConfigurationError(f"it is nested more than {_JSON_DEPTH} levels deep")
        stored = msgspec.json.decode(data, type=_Exported)
    except (*JSON_ERRORS, TypeError) as error:
        raise ConfigurationError(f"exported is not an exported conversation: {error}.") from error
    for number, exchange in enumerate(stored.exchanges):
        if not is_whole(exchange):
            raise ConfigurationError(
                f"exported is not an exported conversation: exchange {number} is empty, or has a "
                "call without its result or a result without its call."
            )
    return StoredConversation(stored.exchanges, stored.summary, stored.deferred)


class _Exported(Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of an exported conversation, of which the first two are required."""

    exchanges: tuple[Exchange, ...]
    summary: str
    deferred: Exchange = ()
