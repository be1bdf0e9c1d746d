"""`MemoryStore`: the limit on the number of conversations."""

from __future__ import annotations

from typing import Any

import pytest
from remembering import done, exchange

import rxagents
from rxagents import ConversationalAgent, Memory, MemoryStore
from rxagents.testing import ScriptedLLM


def test_least_recently_used_conversation_is_forgotten() -> None:
    store = MemoryStore(max_conversations=2)
    for key in ("a", "b"):
        store.append(key, exchange(key), store.read(key))
    store.read("a")
    store.append("c", exchange("c"), store.read("c"))
    assert store.ids() == ["c", "a"]


async def test_memory_limits_its_conversations() -> None:
    memory = Memory("window", max_messages=4, max_conversations=3)
    agent = ConversationalAgent(ScriptedLLM("yes"), memory=memory)
    for number in range(10):
        await agent.run("hello", str(number))
        await agent.run("hello", str(number))
    assert await memory.ids() == ["9", "8", "7"]
    assert len(memory._conversations) == 3


async def test_no_limit_keeps_all_conversations() -> None:
    memory = Memory(max_conversations=None)
    agent = ConversationalAgent(ScriptedLLM("yes"), memory=memory)
    for number in range(30):
        await agent.run("hello", str(number))
    assert len(await memory.ids()) == 30


def test_conversations_evicted_during_run_stay_away() -> None:
    store = MemoryStore(max_conversations=1)
    store.append("a", exchange("one"), store.read("a"))
    start = store.read("a")
    store.append("b", exchange("two"), store.read("b"))
    store.append("a", exchange("three"), start)
    assert store.ids() == ["b"]


@pytest.mark.parametrize("limit", [0, -1, True, 2.5, "9"])
def test_bad_limit_is_refused(limit: Any) -> None:
    for make in (MemoryStore, Memory):
        with pytest.raises(rxagents.ConfigurationError, match="max_conversations must be a whole"):
            make(max_conversations=limit)


@pytest.mark.parametrize("store", ["file.db", {}, MemoryStore], ids=["str", "dict", "class"])
def test_store_without_methods_is_refused(store: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=r"must be an rxagents\.MemoryStore"):
        Memory(store=store)


def test_memory_of_another_store_is_searched() -> None:
    store = MemoryStore()
    store.append("a", exchange("the invoice"), store.read("a"))
    assert done(Memory(store=store).ids("invoice")) == ["a"]
    assert done(Memory(store=store).ids("receipt")) == []
