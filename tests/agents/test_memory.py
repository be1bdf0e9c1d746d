"""`Memory`: the exchanges that each strategy shows."""

from __future__ import annotations

import gc
import time
import tracemalloc
from typing import Any

import pytest
from remembering import (
    WHO,
    conversation_in,
    done,
    exchange,
    exchange_with_tool,
    recall,
    remember,
    shown,
)

import rxagents
from rxagents import ImagePart, Memory, Message, ReasoningPart, StoredConversation
from rxagents.core.token_estimate import estimated_tokens

MANY = 10_000


def test_unknown_conversation_is_empty() -> None:
    assert conversation_in(Memory(), "who") == StoredConversation((), "")
    assert shown(Memory()) == []


def test_all_shows_everything_in_order() -> None:
    memory = Memory()
    remember(memory, "one", exchange_with_tool("two"), "three")
    assert shown(memory) == ["one", "two", "three"]


def test_conversations_are_separate() -> None:
    memory = Memory()
    remember(memory, "one")
    assert recall(memory, (), "other").shown == ()
    assert conversation_in(memory).exchanges == (exchange("one"),)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, []), (2, ["four"]), (3, ["four"]), (4, ["three", "four"]), (5, ["three", "four"])],
)
def test_window_shows_newest_whole_exchanges(limit: int, expected: list[str]) -> None:
    memory = Memory("window", max_messages=limit)
    remember(memory, "one", "two", "three", "four")
    assert shown(memory) == expected


def test_window_counts_calls_and_results() -> None:
    for limit, expected in [(5, ["after"]), (6, ["tool", "after"])]:
        memory = Memory("window", max_messages=limit)
        remember(memory, "before", exchange_with_tool("tool"), "after")
        assert shown(memory) == expected


def test_window_leaves_no_gap() -> None:
    memory = Memory("window", max_messages=4)
    remember(memory, "small", exchange_with_tool("large"), "newest")
    assert shown(memory) == ["newest"]


def test_window_keeps_its_token_limit() -> None:
    for limit, expected in [(2, []), (3, ["b" * 8]), (5, ["b" * 8]), (6, ["a" * 8, "b" * 8])]:
        memory = Memory("window", max_tokens=limit)
        remember(memory, exchange("a" * 8, "x"), exchange("b" * 8, "x"))
        assert shown(memory) == expected


def test_stricter_of_two_limits_applies() -> None:
    few_messages = Memory("window", max_messages=2, max_tokens=1000)
    few_tokens = Memory("window", max_messages=1000, max_tokens=2)
    for memory in (few_messages, few_tokens):
        remember(memory, "one", "two")
        assert shown(memory) == ["two"]


def test_newest_message_is_not_limited() -> None:
    for strategy in ("window", "summarize", "selective"):
        memory = Memory(strategy, max_messages=1, max_tokens=1)
        remember(memory, "one", "two")
        new = (Message.user("a new message, longer than any limit"),)
        assert not recall(memory, new).shown  # the agent appends the new message itself


def test_estimate_is_four_characters_a_token() -> None:
    assert [estimated_tokens("a" * length) for length in (0, 1, 4, 5)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("今天天气很好", 6),
        ("これは", 3),
        ("안녕", 2),
        ("สวัสดี", 6),
        ("ab今天cd", 3),
        ("über", 1),
        ("Привет", 2),
    ],
)
def test_dense_scripts_have_a_token_a_letter(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


def test_counter_sees_each_text_once() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text.split())

    memory = Memory("window", max_tokens=10, count_tokens=count)
    remember(memory, exchange_with_tool("how is it there"))
    assert shown(memory) == []  # 4 + 3 + 1 + 3 words
    assert shown(memory) == []
    assert counted == ["how is it there", 'weather {"city": "Oslo"}', "cold", "It is cold."]


def test_images_and_reasoning_are_not_counted() -> None:
    memory = Memory("window", max_tokens=2)
    picture = ImagePart(data=b"x" * 1000, media_type="image/png")
    answer = Message.assistant(ReasoningPart("thinking " * 100), "yes")
    remember(memory, (Message.user("this", picture), answer))
    assert shown(memory) == ["this"]


def test_nothing_is_counted_without_token_limit() -> None:
    def count(text: str) -> int:
        raise AssertionError(text)

    for memory in (
        Memory(count_tokens=count),
        Memory("window", max_messages=9, count_tokens=count),
    ):
        remember(memory, "one", "two")
        assert shown(memory) == ["one", "two"]


def test_summarize_shows_everything_that_fits() -> None:
    memory = Memory("summarize", max_messages=4)
    remember(memory, "one", "two")
    assert recall(memory).outgrown == ()
    assert shown(memory) == ["one", "two"]


def test_summarize_keeps_half_of_its_limits() -> None:
    memory = Memory("summarize", max_messages=4)
    remember(memory, "one", "two")
    memory.remember(recall(memory), exchange("three"), "")
    recalled = recall(memory)
    assert recalled.outgrown == (exchange("one"), exchange("two"))
    assert recalled.shown == (exchange("three"),)


def test_summary_replaces_exchanges_after_success() -> None:
    memory = Memory("summarize", max_messages=2)
    remember(memory, "one")
    memory.remember(recall(memory), exchange("two"), "")
    before = done(memory.export(WHO))
    recalled = recall(memory)
    assert done(memory.export(WHO)) == before
    memory.remember(recalled, exchange("three"), "They said one and two.")
    assert conversation_in(memory) == StoredConversation(
        (exchange("three"),), "They said one and two."
    )


def test_forget_during_a_run_is_final() -> None:
    memory = Memory()
    remember(memory, "secret")
    recalled = recall(memory)
    done(memory.forget(WHO))
    memory.remember(recalled, exchange("what was it?", "secret"), "the secret")
    assert conversation_in(memory) == StoredConversation((), "")
    done(memory.forget("unknown"))


def test_forget_during_first_run_is_final() -> None:
    memory = Memory()
    recalled = recall(memory)
    done(memory.forget(WHO))
    again = recall(memory)
    memory.remember(recalled, exchange("secret"), "")
    assert conversation_in(memory) == StoredConversation((), "")
    memory.remember(again, exchange("hello"), "")
    assert shown(memory) == ["hello"]


def test_load_during_first_run_is_final() -> None:
    memory, other = Memory(), Memory()
    remember(other, "loaded")
    recalled = recall(memory)
    done(memory.load(WHO, done(other.export(WHO))))
    memory.remember(recalled, exchange("late"), "")
    assert shown(memory) == ["loaded"]


def test_runs_without_answer_leave_nothing() -> None:
    memory = Memory()

    def size_after(ids: range) -> int:
        for number in ids:
            recall(memory, (), str(number))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = size_after(range(100))
    assert size_after(range(100, 3100)) - before < 3000 * 16
    tracemalloc.stop()


def test_load_during_a_run_is_final() -> None:
    memory = Memory("summarize", max_messages=2)
    remember(memory, "one", "two")
    other = Memory()
    remember(other, "a", "b")
    recalled = recall(memory)
    done(memory.load(WHO, done(other.export(WHO))))
    memory.remember(recalled, exchange("three"), "one and two")
    assert done(memory.export(WHO)) == done(other.export(WHO))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"strategy": "everything"}, "strategy must be one of 'all'"),
        ({"strategy": None}, "strategy must be one of"),
        ({"strategy": ["all"]}, "strategy must be one of"),
        ({"strategy": "all", "max_messages": 3}, "takes no limit"),
        ({"strategy": "all", "max_tokens": 3}, "takes no limit"),
        ({"strategy": "window"}, "need max_messages or max_tokens"),
        ({"strategy": "summarize"}, "need max_messages or max_tokens"),
        ({"strategy": "selective"}, "need max_messages or max_tokens"),
        ({"strategy": "window", "max_messages": 0}, "max_messages must be a whole number"),
        ({"strategy": "window", "max_messages": True}, "max_messages must be a whole number"),
        ({"strategy": "window", "max_messages": 2.5}, "max_messages must be a whole number"),
        ({"strategy": "window", "max_tokens": -1}, "max_tokens must be a whole number"),
        ({"strategy": "window", "max_tokens": "9"}, "max_tokens must be a whole number"),
        ({"count_tokens": 4}, "count_tokens must be a function"),
    ],
)
def test_bad_argument_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=words):
        Memory(**arguments)


@pytest.mark.parametrize(
    "memory",
    [Memory(), Memory("window", max_tokens=9), Memory("selective", max_messages=9)],
    ids=["all", "window", "selective"],
)
def test_remember_cost_does_not_grow(memory: Memory) -> None:
    kept = [exchange(f"question {number}") for number in range(MANY)]
    recalled = recall(memory)

    def seconds() -> float:
        started = time.process_time()
        for each in kept:
            memory.remember(recalled, each, "")
        return time.process_time() - started

    costs = [seconds() for _ in range(6)]
    assert min(costs[3:]) < 5 * min(costs[:3]) + 0.02
    assert conversation_in(memory).exchanges[-1] is kept[-1]


def test_window_counts_only_what_fits() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return 1

    memory = Memory("window", max_tokens=4, count_tokens=count)
    recalled = recall(memory)
    for number in range(MANY):
        memory.remember(recalled, exchange(f"question {number}"), "")
    assert shown(memory) == ["question 9998", "question 9999"]
    assert len(counted) == 6
