"""Keep conversations, and choose what of them the model is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias, get_args
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from rxagents.agents.exchanges import (
    Exchange,
    KeptExchange,
    Room,
    is_whole,
    most_relevant,
    newest_that_fit,
)
from rxagents.agents.queue import RunQueue
from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.core.messages import Message
from rxagents.core.scripts import HANGUL, UNSPACED

Strategy: TypeAlias = Literal["all", "window", "summarize", "selective"]

_SHOWN_BESIDE_SUMMARY = 0.5
"""Part of the limits that exchanges keep beside a summary: else every run would summarize again."""

_JSON_DEPTH = 2 * DEFAULT_LIMITS.json_depth
"""Room for data that a wire sent, which may be that deep, and for the conversation around it."""


class StoredConversation(Struct, frozen=True, forbid_unknown_fields=True):
    """An exported conversation.

    Attributes:
        exchanges: The exchanges, oldest first.
        summary: The summary of the exchanges before them; empty if there is none.
    """

    exchanges: tuple[Exchange, ...]
    summary: str


class KeptConversation:
    """A conversation in memory.

    Attributes:
        exchanges: The exchanges, oldest first.
        summary: The summary of the exchanges before them; empty if there is none.
    """

    def __init__(self, exchanges: Iterable[KeptExchange] = (), summary: str = "") -> None:
        self.exchanges = list(exchanges)
        self.summary = summary


class Recollection(Struct, frozen=True):
    """The part of a conversation that a run starts from.

    Attributes:
        conversation_id: The id of the conversation.
        conversation: The conversation that the run belongs to.
        shown: The exchanges that the model is shown, oldest first.
        outgrown: The exchanges before them that a summary has to cover.
    """

    conversation_id: str
    conversation: KeptConversation
    shown: Sequence[Exchange]
    outgrown: Sequence[Exchange]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the shown exchanges."""
        return tuple(message for exchange in self.shown for message in exchange)


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of a text: one for four characters.

    The rule is from OpenAI's help pages and holds for English. A letter of Chinese, Japanese,
    Korean, Thai, Lao, Khmer or Burmese counts as one token. The model's tokenizer is exact.
    """
    dense = 0 if text.isascii() else len(_DENSE.findall(text))
    return dense + -(-(len(text) - dense) // 4)


_DENSE = re.compile(f"[{UNSPACED}{HANGUL}]")


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

    Everything is kept until it is forgotten, except what a summary replaces.

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

    Attributes:
        strategy: The strategy.
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
        self._conversations: dict[str, KeptConversation] = {}
        # Conversations without an exchange so far, as long as a run holds them: a run that fails
        # leaves nothing.
        self._begun: WeakValueDictionary[str, KeptConversation] = WeakValueDictionary()
        self.queue = RunQueue()

    def conversation(self, conversation_id: str) -> StoredConversation:
        """Return a conversation; an unknown one is empty."""
        kept = self._conversations.get(conversation_id, KeptConversation())
        return StoredConversation(tuple(each.messages for each in kept.exchanges), kept.summary)

    def forget(self, conversation_id: str) -> None:
        """Forget a conversation, and the exchange of a run that is still going on."""
        self._conversations.pop(conversation_id, None)
        self._begun.pop(conversation_id, None)

    def export(self, conversation_id: str) -> str:
        """Return a conversation as JSON that `load` reads."""
        return msgspec.json.encode(self.conversation(conversation_id)).decode()

    def load(self, conversation_id: str, exported: str | bytes) -> None:
        """Replace a conversation with one that `export` returned.

        Raises:
            ConfigurationError: `exported` is not what `export` returns.
        """
        stored = _read(exported)
        exchanges = (KeptExchange(each, self._count_tokens) for each in stored.exchanges)
        self._begun.pop(conversation_id, None)
        self._conversations[conversation_id] = KeptConversation(exchanges, stored.summary)

    def recall(self, conversation_id: str, new: Iterable[Message]) -> Recollection:
        """Return the part of a conversation that a run starts from.

        Args:
            conversation_id: The id of the conversation.
            new: The new messages of the user.
        """
        conversation = self._conversations.get(conversation_id)
        if conversation is None:
            conversation = self._begun.setdefault(conversation_id, KeptConversation())
        kept = conversation.exchanges
        if self.strategy == "selective":
            shown, outgrown = most_relevant(kept, new, self._room(1)), kept[:0]
        else:
            first = len(kept) - self._newest_shown(kept)
            shown, outgrown = kept[first:], kept[: first if self.strategy == "summarize" else 0]
        return Recollection(
            conversation_id,
            conversation,
            [each.messages for each in shown],
            [each.messages for each in outgrown],
        )

    def remember(self, recalled: Recollection, exchange: Exchange, summary: str) -> None:
        """Keep the exchange of a successful run.

        Args:
            recalled: What the run started from. The exchange goes to its conversation: one that
                was forgotten or replaced meanwhile stays so.
            exchange: The messages of the exchange.
            summary: The summary that covers the outgrown exchanges.
        """
        conversation = recalled.conversation
        if self._begun.get(recalled.conversation_id) is conversation:
            del self._begun[recalled.conversation_id]
            self._conversations[recalled.conversation_id] = conversation
        del conversation.exchanges[: len(recalled.outgrown)]
        conversation.exchanges.append(KeptExchange(exchange, self._count_tokens))
        conversation.summary = summary

    def _newest_shown(self, kept: Sequence[KeptExchange]) -> int:
        fitting = newest_that_fit(kept, self._room(1))
        if self.strategy == "summarize" and fitting < len(kept):
            return newest_that_fit(kept, self._room(_SHOWN_BESIDE_SUMMARY))
        return fitting

    def _room(self, part: float) -> Room:
        return Room(self._max_messages * part, self._max_tokens * part)


def _read(exported: str | bytes) -> StoredConversation:
    try:
        data = exported.encode() if isinstance(exported, str) else bytes(memoryview(exported))
        if is_deeper(data, _JSON_DEPTH):
            raise ConfigurationError(f"it is nested more than {_JSON_DEPTH} levels deep")
        stored = msgspec.json.decode(data, type=StoredConversation)
    except (*JSON_ERRORS, TypeError) as error:
        raise ConfigurationError(f"exported is not an exported conversation: {error}.") from error
    for number, exchange in enumerate(stored.exchanges):
        if not is_whole(exchange):
            raise ConfigurationError(
                f"exported is not an exported conversation: exchange {number} is empty, or has a "
                "call without its result or a result without its call."
            )
    return stored
