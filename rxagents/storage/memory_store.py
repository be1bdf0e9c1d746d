"""Keep conversations in the memory of the process."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from rxagents.core.checks import checked_count
from rxagents.core.exchange import Exchange, message_text
from rxagents.storage.conversation_store import Snapshot, StoredConversation


class MemoryStore:
    """Keeps conversations until the process ends, on all event loops and threads.

    Args:
        max_conversations: How many conversations are kept; beyond it the one that was used least
            recently is forgotten. `None` for no limit.

    Raises:
        ConfigurationError: `max_conversations` is not a whole number of 1 or more.
    """

    def __init__(self, *, max_conversations: int | None = 10_000) -> None:
        if max_conversations is not None:
            checked_count("max_conversations", max_conversations)
        self._max_conversations = max_conversations
        self._generations = itertools.count(1)
        self._deferrals = itertools.count(1)
        self._lock = Lock()
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()
        """The least recently used first."""

    def read(self, conversation_id: str) -> Snapshot:
        """Return a conversation; an unknown one is empty."""
        with self._lock:
            kept = self._conversations.get(conversation_id)
            if kept is None:
                return Snapshot()
            self._conversations.move_to_end(conversation_id)
            return Snapshot(
                tuple(kept.exchanges),
                kept.summary,
                kept.generation,
                kept.dropped,
                kept.deferred,
                kept.deferral,
            )

    def append(
        self,
        conversation_id: str,
        exchange: Exchange,
        start: Snapshot,
        *,
        outgrown: int = 0,
        summary: str = "",
        deferred: bool = False,
    ) -> None:
        """Add the exchange of a run; see `ConversationStore.append`."""
        with self._lock:
            kept = self._conversations.get(conversation_id)
            if start.generation and (kept is None or kept.generation != start.generation):
                return
            if kept is None:
                kept = self._add(conversation_id, StoredConversation())
            if kept.dropped == start.dropped:
                del kept.exchanges[:outgrown]
                kept.dropped += outgrown
                kept.summary = summary
            if deferred:
                kept.defer(exchange, next(self._deferrals))
            else:
                kept.exchanges.append(exchange)
                kept.take_deferred(start.deferral)
            self._conversations.move_to_end(conversation_id)

    def take_deferred(self, conversation_id: str, start: Snapshot) -> bool:
        """Delete the deferred exchange of `start`; return whether it was still there."""
        with self._lock:
            kept = self._conversations.get(conversation_id)
            return kept is not None and kept.take_deferred(start.deferral)

    def replace(self, conversation_id: str, conversation: StoredConversation) -> None:
        """Store a conversation in place of the one with this id."""
        with self._lock:
            self._add(conversation_id, conversation)

    def forget(self, conversation_id: str) -> None:
        """Delete a conversation; an unknown one is no error."""
        with self._lock:
            self._conversations.pop(conversation_id, None)

    def ids(self, text: str = "") -> list[str]:
        """Return the ids of the conversations; see `ConversationStore.ids`.

        Here the most recently used is the first.
        """
        with self._lock:
            kept = [(key, tuple(each.exchanges)) for key, each in self._conversations.items()]
        wanted = text.casefold()
        return [key for key, exchanges in reversed(kept) if _contains(exchanges, wanted)]

    def _add(self, conversation_id: str, conversation: StoredConversation) -> _Conversation:
        added = _Conversation(next(self._generations), conversation)
        if conversation.deferred:
            added.defer(conversation.deferred, next(self._deferrals))
        self._conversations[conversation_id] = added
        self._conversations.move_to_end(conversation_id)
        limit = self._max_conversations
        if limit is not None and len(self._conversations) > limit:
            self._conversations.popitem(last=False)
        return added


class _Conversation:
    def __init__(self, generation: int, conversation: StoredConversation) -> None:
        self.generation = generation
        self.exchanges = list(conversation.exchanges)
        self.summary = conversation.summary
        self.dropped = 0
        self.deferred: Exchange = ()
        self.deferral = 0

    def defer(self, exchange: Exchange, deferral: int) -> None:
        self.deferred, self.deferral = exchange, deferral

    def take_deferred(self, deferral: int) -> bool:
        if not deferral or self.deferral != deferral:
            return False
        self.deferred, self.deferral = (), 0
        return True


def _contains(exchanges: Iterable[Exchange], text: str) -> bool:
    return not text or any(
        text in message_text(message).casefold() for exchange in exchanges for message in exchange
    )
