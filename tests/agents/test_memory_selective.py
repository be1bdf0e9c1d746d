"""`Memory("selective")`, and the rules that all strategies keep for any text."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remembering import conversation_in, exchange, exchange_with_tool, recall, remember, shown

from rxagents import Memory, Message
from rxagents.agents import exchanges
from rxagents.agents.memory import Strategy
from rxagents.core.exchange import Exchange, message_text


def test_everything_that_fits_keeps_order() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "one", "two", "three")
    assert shown(memory, "three two") == ["one", "two", "three"]


def test_newest_then_first_are_chosen() -> None:
    for limit, expected in [(2, ["and d"]), (4, ["a", "and d"])]:
        memory = Memory("selective", max_messages=limit)
        remember(memory, "a", "b", "c", "and d")
        assert shown(memory, "b b c c") == expected


def test_shared_words_are_chosen_next() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "hello", "the cat", "the dog", "the bird", "bye")
    assert shown(memory, "and the Dog?") == ["hello", "the dog", "bye"]


def test_rare_word_beats_common_words() -> None:
    memory = Memory("selective", max_messages=6)
    common = [f"is it so that {number}" for number in range(8)]
    remember(memory, "hello", "Kilimanjaro", *common, "bye")
    assert shown(memory, "is it so that Kilimanjaro") == ["hello", "Kilimanjaro", "bye"]


def test_two_rare_words_beat_one() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "hello", "red cat", "cat", "red", "bye")
    assert shown(memory, "the red cat") == ["hello", "red cat", "bye"]


def test_newer_exchange_wins_a_tie() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "a", "cat b", "cat c", "cat d", "e")
    assert shown(memory, "cat") == ["a", "cat d", "e"]
    assert shown(memory, "nothing of it") == ["a", "cat d", "e"]


def test_relevance_does_not_change_order() -> None:
    for words in permutations(["cat", "dog", "bird"]):
        memory = Memory("selective", max_messages=8)
        remember(memory, "first", *words, "last")
        expected = [word for word in words if word != "bird"]
        assert shown(memory, "cat dog") == ["first", *expected, "last"]


def test_too_large_exchange_is_skipped() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "first", exchange_with_tool("cat"), "dog", "last")
    assert shown(memory, "cat cat dog") == ["first", "dog", "last"]


def test_calls_and_results_count_as_words() -> None:
    memory = Memory("selective", max_messages=8)
    remember(memory, "first", exchange_with_tool("tell me"), "other", "last")
    assert shown(memory, "Oslo") == ["first", "tell me", "last"]


def test_token_limit_applies() -> None:
    memory = Memory("selective", max_tokens=4, count_tokens=lambda text: len(text.split()))
    remember(memory, exchange("one two three", "four"), exchange("cat", "x"), exchange("dog", "x"))
    assert shown(memory, "cat") == ["cat", "dog"]


def test_words_match_in_any_script() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "a", "STRASSE", "Привет", "b", "c")
    assert shown(memory, "straße") == ["a", "STRASSE", "c"]
    assert shown(memory, "привет!") == ["a", "Привет", "c"]


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("我的猫喜欢吃鱼", "猫在哪里\uff1f"),
        ("東京の天気はどうですか", "今日の東京"),
        ("อยู่บนถนนครับ", "ถนน"),
    ],
    ids=["chinese", "japanese", "thai"],
)
def test_words_without_blanks_match(kept: str, asked: str) -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "a", kept, "b", "c")
    assert shown(memory, asked) == ["a", kept, "c"]


def test_pair_of_characters_beats_one_character() -> None:
    memory = Memory("selective", max_messages=6)
    remember(memory, "a", "北京", "京", "北", "c")
    assert shown(memory, "去北京") == ["a", "北京", "c"]


def test_words_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Message] = []

    def recorded(message: Message) -> str:
        read.append(message)
        return message_text(message)

    monkeypatch.setattr(exchanges, "message_text", recorded)
    memory = Memory("selective", max_messages=6)
    recalled = recall(memory)
    for number in range(1_000):
        memory.remember(recalled, exchange(f"question {number}"), "")
    assert shown(memory, "question 77?")[1] == "question 77"
    assert len(read) == 2 * 1_000 + 1
    read.clear()
    assert shown(memory, "question 88?")[1] == "question 88"
    assert [message.text for message in read] == ["question 88?"]


WORDS = st.lists(
    st.sampled_from(["the", "cat", "dog", "bird", "of", "in", "Oslo"]), max_size=5
).map(" ".join)
EXCHANGES = st.lists(
    WORDS.map(lambda text: exchange(text, text)) | WORDS.map(exchange_with_tool), max_size=8
)


def count(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize("strategy", ["window", "summarize", "selective"])
@given(
    exchanges=EXCHANGES,
    new=WORDS,
    messages=st.none() | st.integers(1, 12),
    tokens=st.integers(1, 30),
)
def test_limits_and_order_hold(
    strategy: Strategy, exchanges: list[Exchange], new: str, messages: int | None, tokens: int
) -> None:
    memory = Memory(strategy, max_messages=messages, max_tokens=tokens, count_tokens=count)
    recalled = recall(memory)
    for each in exchanges:
        memory.remember(recalled, each, "")
    recalled = recall(memory, (Message.user(new),))
    flat = [message for each in recalled.shown for message in each]
    assert messages is None or len(flat) <= messages
    assert sum(count(message_text(message)) for message in flat) <= tokens
    numbers = [_number_of(each, exchanges) for each in recalled.shown]
    assert numbers == sorted(set(numbers))
    if strategy != "selective":
        assert numbers == list(range(len(exchanges) - len(numbers), len(exchanges)))
    if strategy == "summarize":
        assert [*recalled.outgrown, *recalled.shown] == exchanges
    assert list(conversation_in(memory).exchanges) == exchanges


def _number_of(one: Exchange, exchanges: list[Exchange]) -> int:
    return next(number for number, each in enumerate(exchanges) if each is one)
