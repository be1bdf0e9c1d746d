"""Keep conversations, and choose what of them the model is shown."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, TypeAlias, TypeVar, get_args
from weakref import WeakValueDictionary

from msgspec import Struct

from rxagents.agents.exchanges import (
    KeptConversation,
    KeptExchange,
    Room,
    most_relevant,
    newest_that_fit,
)
from rxagents.agents.queue import RunQueue
from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.core.exchange import Exchange
from rxagents.core.messages import Message
from rxagents.core.token_estimate import estimated_tokens
from rxagents.storage.conversation_store import (
    ConversationStore,
    Snapshot,
    StoredConversation,
    read_exported,
    to_json,
)
from rxagents.storage.memory_store import MemoryStore

T = TypeVar("T")

Strategy: TypeAlias = Literal["all", "window", "summarize", "selective"]

_SHOWN_BESIDE_SUMMARY = 0.5
"""Part of the limits that exchanges keep beside a summary: else every run would summarize again."""


class RunMark:
    """Marks the runs of a conversation that have begun since it was last forgotten or replaced."""


class Recollection(Struct, frozen=True):
    """The part of a conversation that a run starts from.

    Attributes:
        conversation_id: The id of the conversation.
        start: The conversation that the run starts from.
        mark: Is the conversation's mark until it is forgotten or replaced.
        shown: The exchanges that the model is shown, oldest first.
        outgrown: The exchanges before them that a summary has to cover.
    """

    conversation_id: str
    start: Snapshot
    mark: RunMark
    shown: Sequence[Exchange]
    outgrown: Sequence[Exchange]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the shown exchanges."""
        return tuple(message for exchange in self.shown for message in exchange)


class Memory:
    """Keeps conversations, and chooses what of each the model is shown.

    The newest message of the user and the system prompt are always shown. An exchange is what the
    user said, the tool calls with their results, and the answer. Earlier exchanges are shown as a
    whole or not at all, by the strategy:

    - `"all"`: all exchanges.
    - `"window"`: the newest exchanges that fit in the limits.
    - `"summarize"`: all exchanges, until they do not fit in the limits when a run starts. Then the
      newest exchanges that fit in half of the limits are shown after a summary of the others. The
      model writes the summary first, and it replaces the others in memory.
    - `"selective"`: the exchanges that are most relevant to the new message and fit, in their
      order. The newest exchange is chosen first, since "and then?" refers to it; then the first
      exchange, which often states the topic; then those that share words with the new message. A
      rare word counts more than a common one (inverse document frequency), a word of every exchange
      counts nothing. Between equal exchanges the newer one is chosen. In Chinese, Japanese, Thai,
      Lao, Khmer and Burmese, which have no blanks, each character and each pair of neighbouring
      characters counts as a word.

    Everything is kept until it is forgotten, except what a summary replaces. By default it is kept
    in the memory of the process; with a `SQLiteStore` it is kept in a file.

    Args:
        strategy: `"all"`, `"window"`, `"summarize"` or `"selective"`.
        max_messages: How many messages are shown beside the newest, the system prompt and the
            summary; `None` for no limit.
        max_tokens: How many tokens these messages may have; `None` for no limit. Text, calls and
            results are counted; images, files and reasoning are not, since each provider counts
            them in its own way.
        count_tokens: Counts the tokens of a text; by default one for four characters, and one for
            each letter of Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese. It is called
            once for each message of an exchange.
        store: Keeps the conversations; by default a `MemoryStore`. Several memories may share one
            store.
        max_conversations: How many conversations are held in the memory of the process; beyond it
            the one that was used least recently leaves. It is forgotten if no store is given. With
            a store only its token counts are, and are made again. `None` for no limit.

    Attributes:
        strategy: The strategy.
        store: Keeps the conversations.
        queue: Runs the runs of one conversation one after the other.

    Raises:
        ConfigurationError: An argument is of the wrong type or size, or the strategy needs a
            limit.
    """

    def __init__(
        self,
        strategy: Strategy = "all",
        *,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        count_tokens: Callable[[str], int] = estimated_tokens,
        store: ConversationStore | None = None,
        max_conversations: int | None = 10_000,
    ) -> None:
        if strategy not in get_args(Strategy):
            names = ", ".join(map(repr, get_args(Strategy)))
            raise ConfigurationError(f"strategy must be one of {names}, not {strategy!r}.")
        for name, limit in (("max_messages", max_messages), ("max_tokens", max_tokens)):
            if limit is not None:
                checked_count(name, limit)
        if (strategy == "all") != (max_messages is None and max_tokens is None):
            raise ConfigurationError(
                f'The strategy "all" takes no limit, the others need max_messages or max_tokens; '
                f"these are {strategy!r}, {max_messages!r} and {max_tokens!r}."
            )
        self.strategy: Strategy = strategy
        self._max_messages = math.inf if max_messages is None else max_messages
        self._max_tokens = math.inf if max_tokens is None else max_tokens
        self._count_tokens = checked_function("count_tokens", count_tokens)
        if max_conversations is not None:
            checked_count("max_conversations", max_conversations)
        if store is None:
            store = MemoryStore(max_conversations=max_conversations)
        self.store = _checked_store(store)
        self._max_conversations = max_conversations
        # With their counts, the least recently used first. Only the strategies that count use it.
        self._conversations: OrderedDict[str, KeptConversation] = OrderedDict()
        # As long as a run holds them: a run that fails leaves nothing.
        self._marks: WeakValueDictionary[str, RunMark] = WeakValueDictionary()
        self.queue = RunQueue()

    async def conversation(self, conversation_id: str) -> StoredConversation:
        """Return a conversation; an unknown one is empty."""
        snapshot = await _result(self.store.read(conversation_id))
        return StoredConversation(snapshot.exchanges, snapshot.summary, snapshot.deferred)

    async def ids(self, text: str = "") -> list[str]:
        """Return the ids of the conversations, the most recently used first.

        Args:
            text: Return only the conversations with a message that contains this text, in any
                case.
        """
        return await _result(self.store.ids(text))

    async def forget(self, conversation_id: str) -> None:
        """Forget a conversation, and the exchange of a run that is still going on."""
        self._start_anew(conversation_id)
        await _result(self.store.forget(conversation_id))

    async def export(self, conversation_id: str) -> str:
        """Return a conversation as JSON that `load` reads."""
        return to_json(await self.conversation(conversation_id)).decode()

    async def load(self, conversation_id: str, exported: str | bytes) -> None:
        """Replace a conversation with one that `export` returned.

        Raises:
            ConfigurationError: `exported` is not what `export` returns.
        """
        conversation = read_exported(exported)
        self._start_anew(conversation_id)
        await _result(self.store.replace(conversation_id, conversation))

    def recall(self, conversation_id: str, start: Snapshot, new: Iterable[Message]) -> Recollection:
        """Return the part of a conversation that a run starts from.

        Args:
            conversation_id: The id of the conversation.
            start: The conversation, as the store has just read it.
            new: The new messages of the user.
        """
        shown: Sequence[Exchange] = start.exchanges
        outgrown: Sequence[Exchange] = ()
        if self.strategy != "all":
            kept = self._kept(conversation_id, start)
            if self.strategy == "selective":
                shown = [each.messages for each in most_relevant(kept, new, self._room(1))]
            else:
                first = len(kept) - self._newest_shown(kept)
                shown = start.exchanges[first:]
                outgrown = start.exchanges[: first if self.strategy == "summarize" else 0]
        mark = self._marks.setdefault(conversation_id, RunMark())
        return Recollection(conversation_id, start, mark, shown, outgrown)

    def remember(
        self, recalled: Recollection, exchange: Exchange, summary: str, *, deferred: bool = False
    ) -> Awaitable[None] | None:
        """Store the exchange of a run that is to be remembered.

        Args:
            recalled: What the run started from. The exchange goes to its conversation: one that
                was forgotten or replaced meanwhile stays so.
            exchange: The messages of the exchange.
            summary: The summary that covers the outgrown exchanges.
            deferred: Whether calls of the exchange wait for decisions: then it is kept beside the
                others.

        Returns:
            What the store returns: the exchange is stored when it is done.
        """
        if self._marks.get(recalled.conversation_id) is not recalled.mark:
            return None
        return self.store.append(
            recalled.conversation_id,
            exchange,
            recalled.start,
            outgrown=len(recalled.outgrown),
            summary=summary,
            deferred=deferred,
        )

    def _start_anew(self, conversation_id: str) -> None:
        self._marks.pop(conversation_id, None)
        self._conversations.pop(conversation_id, None)

    def _kept(self, conversation_id: str, start: Snapshot) -> Sequence[KeptExchange]:
        """Return the exchanges of `start` with the counts that are known of them."""
        if not start.exchanges:
            return ()
        conversations = self._conversations
        kept = conversations.pop(conversation_id, None)
        if kept is None or not kept.update(start):
            kept = KeptConversation(start, self._count_tokens)
            kept.update(start)
        conversations[conversation_id] = kept
        if self._max_conversations is not None and len(conversations) > self._max_conversations:
            conversations.popitem(last=False)
        return kept.exchanges

    def _newest_shown(self, kept: Sequence[KeptExchange]) -> int:
        fitting = newest_that_fit(kept, self._room(1))
        if self.strategy == "summarize" and fitting < len(kept):
            return newest_that_fit(kept, self._room(_SHOWN_BESIDE_SUMMARY))
        return fitting

    def _room(self, part: float) -> Room:
        return Room(self._max_messages * part, self._max_tokens * part)


async def _result(value: T | Awaitable[T]) -> T:
    return await value if isinstance(value, Awaitable) else value


def _checked_store(store: ConversationStore) -> ConversationStore:
    missing = [
        name
        for name in ("read", "append", "take_deferred", "replace", "forget", "ids")
        if not callable(getattr(store, name, None))
    ]
    if missing or isinstance(store, type):
        raise ConfigurationError(
            "store must be an rxagents.MemoryStore, an rxagents.SQLiteStore, or an object with the "
            f"methods of rxagents.ConversationStore, not {store!r}."
        )
    return store
