"""Choose the exchanges of a conversation that fit in the limits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from rxagents.core.exchange import Exchange, message_text
from rxagents.core.messages import Message
from rxagents.core.scripts import UNSPACED
from rxagents.storage.conversation_store import Snapshot


class KeptExchange:
    """An exchange in memory; its tokens and words are counted once, when first needed.

    Args:
        messages: The exchange.
        count_tokens: Counts the tokens of a text.
    """

    def __init__(self, messages: Exchange, count_tokens: Callable[[str], int]) -> None:
        self.messages = messages
        self._count_tokens = count_tokens

    @cached_property
    def tokens(self) -> int:
        """The number of tokens of its messages."""
        return sum(self._count_tokens(message_text(message)) for message in self.messages)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of its messages."""
        return words_of(self.messages)


class KeptConversation:
    """The exchanges of a conversation with their counts, so that each is counted once.

    Args:
        snapshot: The conversation.
        count_tokens: Counts the tokens of a text.
    """

    def __init__(self, snapshot: Snapshot, count_tokens: Callable[[str], int]) -> None:
        self._generation = snapshot.generation
        self._dropped = snapshot.dropped
        self._count_tokens = count_tokens
        self.exchanges: list[KeptExchange] = []

    def update(self, snapshot: Snapshot) -> bool:
        """Follow the conversation to `snapshot`; return `False` if it is another conversation.

        The exchanges of one generation never change: some are added, and the oldest are dropped.
        """
        dropped = snapshot.dropped - self._dropped
        known = len(self.exchanges) - dropped
        if self._generation != snapshot.generation or not dropped >= 0:
            return False
        if not 0 <= known <= len(snapshot.exchanges):
            return False
        del self.exchanges[:dropped]
        self._dropped = snapshot.dropped
        added = snapshot.exchanges[known:]
        self.exchanges += [KeptExchange(each, self._count_tokens) for each in added]
        return True


class Room:
    """The messages and tokens that may still be shown."""

    def __init__(self, messages: float, tokens: float) -> None:
        self._messages = messages
        self._tokens = tokens

    def take(self, exchange: KeptExchange) -> bool:
        """Use room for an exchange; return `False` and use none if it does not fit."""
        messages = self._messages - len(exchange.messages)
        if messages < 0:
            return False
        tokens = self._tokens - (exchange.tokens if self._tokens < math.inf else 0)
        if tokens < 0:
            return False
        self._messages, self._tokens = messages, tokens
        return True


def newest_that_fit(exchanges: Sequence[KeptExchange], room: Room) -> int:
    """Return how many of the newest exchanges fit."""
    for count, exchange in enumerate(reversed(exchanges)):
        if not room.take(exchange):
            return count
    return len(exchanges)


def most_relevant(
    exchanges: Sequence[KeptExchange], new: Iterable[Message], room: Room
) -> list[KeptExchange]:
    """Choose exchanges by relevance to `new` while they fit; return them in their own order."""
    chosen = [number for number in _by_relevance(exchanges, new) if room.take(exchanges[number])]
    return [exchanges[number] for number in sorted(chosen)]


def _by_relevance(exchanges: Sequence[KeptExchange], new: Iterable[Message]) -> list[int]:
    """Return the indexes of the exchanges, the most relevant first."""
    newest = len(exchanges) - 1
    rarity: dict[str, float] = {}
    for word in words_of(new):
        held_by = sum(word in exchange.words for exchange in exchanges)
        if held_by:
            rarity[word] = math.log(len(exchanges) / held_by)

    def relevance(number: int) -> tuple[bool, bool, float, int]:
        shared = rarity.keys() & exchanges[number].words
        score = math.fsum(rarity[word] for word in shared)  # exact: independent of the order
        return number == newest, number == 0, score, number

    return sorted(range(len(exchanges)), key=relevance, reverse=True)


_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_PAIR = re.compile(rf"(?=([{UNSPACED}]{{2}}))")


def words_of(messages: Iterable[Message]) -> frozenset[str]:
    """Return the words of messages, case-folded.

    In a script without blanks, each character and each pair of neighbouring characters is a word.
    """
    text = "\n".join(map(message_text, messages)).casefold()
    words = frozenset(_WORD.findall(text))
    return words if text.isascii() else words.union(_PAIR.findall(text))
