"""What an agent remembers of its conversations."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from rxagents.agents.queue import RunQueue
from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import Message, ToolCall, ToolResult

Strategy: TypeAlias = Literal["all", "window", "summarize", "selective"]

Exchange: TypeAlias = tuple[Message, ...]
"""What the user said, and all that came of it: calls, results, the answer. It is kept or left out
as a whole, since no provider takes a tool's result without its call."""


_KEPT_BESIDE_SUMMARY = 0.5
"""So that not every run has to sum up one exchange more."""


class StoredConversation(Struct, frozen=True):
    """A conversation as it is exported.

    Attributes:
        exchanges: Oldest first.
        summary: What was said before them; empty if nothing was.
    """

    exchanges: tuple[Exchange, ...] = ()
    summary: str = ""


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for four characters.

    So OpenAI's help has it for English; a tokenizer of the model's own knows better.
    """
    return -(-len(text) // 4)


class Memory:
    """Conversations, and how much of each the model is shown.

    The newest message of the user and the system prompt are always shown. Of what came before:

    - `"all"`: everything.
    - `"window"`: the newest exchanges that fit in the limits.
    - `"summarize"`: everything, until a run begins with more than fits in the limits: then the
      newest exchanges that fit in half of them, and before them a summary of the others, which
      the model writes first.
    - `"selective"`: the exchanges that have most to do with the new message, and fit, in their
      order. An exchange counts by the words it shares with the message, rare ones more than
      those that many exchanges hold (inverse document frequency); the newest exchange, which
      "and then?" leans on, and the first, which often says what all is about, come before
      the others. Where the words decide nothing, the newer one is kept.

    Args:
        strategy: One of these.
        max_messages: How many messages are shown beside the newest and the system prompt;
            `None` for no such limit.
        max_tokens: How many tokens these may have; `None` for no such limit.
        count_tokens: Counts the tokens of a text, such as a tokenizer's; by default one for
            four characters.

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
                'The strategy "all" keeps everything and takes no limit; the others need '
                "max_messages or max_tokens."
            )
        checked_function("count_tokens", count_tokens)
        self.strategy: Strategy = strategy
        self._max_messages = math.inf if max_messages is None else max_messages
        self._max_tokens = math.inf if max_tokens is None else max_tokens
        self._count_tokens = count_tokens
        self.queue = RunQueue()
        self._conversations: dict[str, StoredConversation] = {}

    def conversation(self, conversation_id: str) -> StoredConversation:
        """Return what is kept of a conversation; an unknown one is empty."""
        return self._conversations.get(conversation_id, StoredConversation())

    def add(self, conversation_id: str, exchange: Exchange, summary: str, dropped: int) -> None:
        """Keep an exchange that went well.

        Args:
            conversation_id: Whose.
            exchange: Its messages.
            summary: What now stands for the exchanges that are dropped.
            dropped: How many of the oldest exchanges the summary has taken up.
        """
        known = self.conversation(conversation_id)
        self._conversations[conversation_id] = StoredConversation(
            (*known.exchanges[dropped:], exchange), summary
        )

    def forget(self, conversation_id: str) -> None:
        """Forget a conversation."""
        self._conversations.pop(conversation_id, None)

    def export(self, conversation_id: str) -> str:
        """Return a conversation as JSON, for `load`."""
        return msgspec.json.encode(self.conversation(conversation_id)).decode()

    def load(self, conversation_id: str, exported: str | bytes) -> None:
        """Take over what `export` returned, in place of what is known of the conversation.

        Raises:
            ConfigurationError: It is not what `export` returns.
        """
        try:
            stored = msgspec.json.decode(exported, type=StoredConversation)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"This is no exported conversation: {error}.") from error
        self._conversations[conversation_id] = stored

    def shown(self, exchanges: Sequence[Exchange], new: Sequence[Message]) -> Sequence[Exchange]:
        """Return the exchanges that the model is shown before the new messages.

        Args:
            exchanges: All that are kept, oldest first.
            new: What the user says now.
        """
        if self.strategy == "selective":
            return self._selected(exchanges, new)
        fitting = self._fitting(exchanges, 1.0)
        if self.strategy == "summarize" and fitting < len(exchanges):
            fitting = self._fitting(exchanges, _KEPT_BESIDE_SUMMARY)
        return exchanges[len(exchanges) - fitting :]

    def _fitting(self, exchanges: Sequence[Exchange], part: float) -> int:
        """Return how many of the newest exchanges fit in a part of the limits."""
        room = _Room(self._max_messages * part, self._max_tokens * part)
        for count, exchange in enumerate(reversed(exchanges)):
            if not room.take(exchange, self._size(exchange)):
                return count
        return len(exchanges)

    def _selected(self, exchanges: Sequence[Exchange], new: Sequence[Message]) -> list[Exchange]:
        room = _Room(self._max_messages, self._max_tokens)
        chosen = [
            number
            for number in _by_relevance(exchanges, new)
            if room.take(exchanges[number], self._size(exchanges[number]))
        ]
        return [exchanges[number] for number in sorted(chosen)]

    def _size(self, exchange: Exchange) -> int:
        return sum(self._count_tokens(text_of(message)) for message in exchange)


class _Room:
    """What is left of the limits."""

    def __init__(self, messages: float, tokens: float) -> None:
        self._messages = messages
        self._tokens = tokens

    def take(self, exchange: Exchange, tokens: int) -> bool:
        """Take an exchange in, if it fits."""
        fits = len(exchange) <= self._messages and tokens <= self._tokens
        if fits:
            self._messages -= len(exchange)
            self._tokens -= tokens
        return fits


def text_of(message: Message) -> str:
    """Return all that a message says, calls and results too."""
    said = [message.text]
    for part in message.parts:
        if isinstance(part, ToolCall):
            said.append(f"{part.name} {part.arguments}")
        elif isinstance(part, ToolResult):
            said.append(part.content)
    return "\n".join(filter(None, said))


def _by_relevance(exchanges: Sequence[Exchange], new: Sequence[Message]) -> list[int]:
    """Return the numbers of the exchanges, the most relevant first."""
    words = [_words("\n".join(map(text_of, exchange))) for exchange in exchanges]
    held_by = Counter(word for held in words for word in held)
    wanted = _words("\n".join(message.text for message in new))

    def relevance(number: int) -> tuple[bool, bool, float, int]:
        shared = wanted & words[number]
        score = sum(math.log(1 + len(words) / held_by[word]) for word in shared)
        return number == len(words) - 1, number == 0, score, number

    return sorted(range(len(words)), key=relevance, reverse=True)


_WORD = re.compile(r"\w+")


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
