"""What an agent remembers of its conversations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias, get_args

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

Strategy: TypeAlias = Literal["all", "window", "summarize", "selective"]

_SHOWN_BESIDE_SUMMARY = 0.5
"""So that not every run has to sum up one exchange more."""

_JSON_DEPTH = 2 * DEFAULT_LIMITS.json_depth
"""What a wire may have sent, and the conversation around it."""


class StoredConversation(Struct, frozen=True, forbid_unknown_fields=True):
    """A conversation as it is exported.

    Attributes:
        exchanges: Oldest first.
        summary: What was said before them; empty if nothing was.
    """

    exchanges: tuple[Exchange, ...]
    summary: str


class KeptConversation:
    """A conversation as it grows.

    Attributes:
        exchanges: Oldest first.
        summary: What was said before them; empty if nothing was.
    """

    def __init__(self, exchanges: Iterable[KeptExchange] = (), summary: str = "") -> None:
        self.exchanges = list(exchanges)
        self.summary = summary


class Recollection(Struct, frozen=True):
    """What a run begins with.

    Attributes:
        conversation: What it is taken from, and what the run adds to.
        shown: The exchanges that the model is shown, oldest first.
        outgrown: Those before them that a summary has to take up.
    """

    conversation: KeptConversation
    shown: Sequence[Exchange]
    outgrown: Sequence[Exchange]


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for four characters.

    So OpenAI's help has it for English; a tokenizer of the model's own knows better.
    """
    return -(-len(text) // 4)


class Memory:
    """Conversations, and how much of each the model is shown.

    The newest message of the user and the system prompt are always shown. Of what came before,
    an exchange (what the user said, the tools' calls and results, the answer) is shown as a
    whole or not at all:

    - `"all"`: everything.
    - `"window"`: the newest exchanges that fit in the limits.
    - `"summarize"`: everything, until a run begins with more than fits in the limits: then the
      newest exchanges that fit in half of them, and before them a summary of the others, which
      the model writes first, and which takes their place in memory.
    - `"selective"`: the exchanges that have most to do with the new message, and fit, in their
      order. An exchange counts by the words it shares with the message, rare ones more than
      those that many exchanges hold (inverse document frequency), and those that all hold not
      at all; the newest exchange, which "and then?" leans on, and the first, which often says
      what all is about, come before the others. Where the words decide nothing, the newer one
      is shown.

    But for what a summary replaces, everything is kept, until it is forgotten.

    Args:
        strategy: One of these.
        max_messages: How many messages are shown beside the newest, the system prompt and the
            summary; `None` for no such limit.
        max_tokens: How many tokens these may have; `None` for no such limit. Counted is what is
            said, called and returned, and not images, files and reasoning, which no two
            providers count alike.
        count_tokens: Counts the tokens of a text, such as a tokenizer's; by default one for
            four characters. Each exchange is counted once.

    Attributes:
        queue: Lets the runs of a conversation wait for one another.

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
                'The strategy "all" shows everything and takes no limit; the others need '
                "max_messages or max_tokens."
            )
        self._strategy: Strategy = strategy
        self._max_messages = math.inf if max_messages is None else max_messages
        self._max_tokens = math.inf if max_tokens is None else max_tokens
        self._count_tokens = checked_function("count_tokens", count_tokens)
        self._conversations: dict[str, KeptConversation] = {}
        self.queue = RunQueue()

    def conversation(self, conversation_id: str) -> StoredConversation:
        """Return what is kept of a conversation; an unknown one is empty."""
        kept = self._conversations.get(conversation_id, KeptConversation())
        return StoredConversation(tuple(each.messages for each in kept.exchanges), kept.summary)

    def forget(self, conversation_id: str) -> None:
        """Forget a conversation, and what a run that goes on adds to it."""
        self._conversations.pop(conversation_id, None)

    def export(self, conversation_id: str) -> str:
        """Return a conversation as JSON, for `load`."""
        return msgspec.json.encode(self.conversation(conversation_id)).decode()

    def load(self, conversation_id: str, exported: str | bytes) -> None:
        """Take over what `export` returned, in place of what is known of the conversation.

        Raises:
            ConfigurationError: It is not what `export` returns.
        """
        stored = _read(exported)
        exchanges = (KeptExchange(each, self._count_tokens) for each in stored.exchanges)
        self._conversations[conversation_id] = KeptConversation(exchanges, stored.summary)

    def recall(self, conversation_id: str, new: Iterable[Message]) -> Recollection:
        """Return what the model is shown before the new messages.

        Args:
            conversation_id: Whose.
            new: What the user says now.
        """
        conversation = self._conversations.setdefault(conversation_id, KeptConversation())
        kept = conversation.exchanges
        if self._strategy == "selective":
            shown, outgrown = most_relevant(kept, new, self._room(1)), kept[:0]
        else:
            first = len(kept) - self._newest_shown(kept)
            shown, outgrown = kept[first:], kept[: first if self._strategy == "summarize" else 0]
        return Recollection(
            conversation, [each.messages for each in shown], [each.messages for each in outgrown]
        )

    def remember(self, recalled: Recollection, exchange: Exchange, summary: str) -> None:
        """Keep an exchange that went well.

        Args:
            recalled: What it began with. It goes where this came from: a conversation that was
                forgotten or replaced meanwhile stays so.
            exchange: Its messages.
            summary: What now stands for the exchanges that were outgrown.
        """
        conversation = recalled.conversation
        del conversation.exchanges[: len(recalled.outgrown)]
        conversation.exchanges.append(KeptExchange(exchange, self._count_tokens))
        conversation.summary = summary

    def _newest_shown(self, kept: Sequence[KeptExchange]) -> int:
        fitting = newest_that_fit(kept, self._room(1))
        if self._strategy == "summarize" and fitting < len(kept):
            return newest_that_fit(kept, self._room(_SHOWN_BESIDE_SUMMARY))
        return fitting

    def _room(self, part: float) -> Room:
        return Room(self._max_messages * part, self._max_tokens * part)


def _read(exported: str | bytes) -> StoredConversation:
    try:
        data = exported.encode() if isinstance(exported, str) else bytes(memoryview(exported))
        if is_deeper(data, _JSON_DEPTH):
            raise ConfigurationError("it is nested too deeply")
        stored = msgspec.json.decode(data, type=StoredConversation)
    except (*JSON_ERRORS, TypeError) as error:
        raise ConfigurationError(f"This is no exported conversation: {error}.") from error
    for number, exchange in enumerate(stored.exchanges):
        if not is_whole(exchange):
            raise ConfigurationError(
                f"This is no exported conversation: exchange {number} is empty, or has a call "
                "without its result or a result without its call."
            )
    return stored
