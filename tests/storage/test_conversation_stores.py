"""What every `ConversationStore` keeps: the same tests for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from remembering import exchange, exchange_with_tool

from rxagents import (
    ConversationStore,
    MemoryStore,
    Message,
    Snapshot,
    SQLiteStore,
    StoredConversation,
    TextPart,
    ToolCall,
)
from rxagents.core.exchange import Exchange

pytestmark = pytest.mark.real_time

T = TypeVar("T")


async def result(value: T | Awaitable[T]) -> T:
    return await value if isinstance(value, Awaitable) else value


async def add(store: ConversationStore, key: str, *questions: str) -> None:
    for each in questions:
        await result(store.append(key, exchange(each), await result(store.read(key))))


async def questions(store: ConversationStore, key: str) -> list[str]:
    read = await result(store.read(key))
    return [each[0].text for each in read.exchanges]


def in_memory(_: Path) -> ConversationStore:
    return MemoryStore()


def in_file(folder: Path) -> ConversationStore:
    return SQLiteStore(folder / "conversations.db")


any_store = pytest.mark.parametrize("make", [in_memory, in_file], ids=["memory", "sqlite"])
Make = Callable[[Path], ConversationStore]


@any_store
async def test_unknown_conversation_reads_as_empty(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    assert await result(store.read("a")) == Snapshot()
    assert await result(store.ids()) == []


@any_store
async def test_exchanges_are_read_in_order(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    for each in (exchange("one"), exchange_with_tool("two")):
        await result(store.append("a", each, await result(store.read("a"))))
    read = await result(store.read("a"))
    assert read.exchanges == (exchange("one"), exchange_with_tool("two"))
    assert (read.summary, read.dropped) == ("", 0)
    assert read.generation > 0


@any_store
async def test_conversations_stay_apart(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await add(store, "a", "one", "two")
    await add(store, "b", "three")
    assert await questions(store, "a") == ["one", "two"]
    assert await questions(store, "b") == ["three"]


@any_store
async def test_summary_replaces_oldest_exchanges(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await add(store, "a", "one", "two", "three")
    start = await result(store.read("a"))
    await result(store.append("a", exchange("four"), start, outgrown=2, summary="one, two"))
    read = await result(store.read("a"))
    assert read.exchanges == (exchange("three"), exchange("four"))
    assert (read.summary, read.dropped) == ("one, two", 2)
    assert read.generation == start.generation


@any_store
async def test_older_summary_is_not_stored(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await add(store, "a", "one", "two", "three")
    start = await result(store.read("a"))
    await result(store.append("a", exchange("four"), start, outgrown=2, summary="new"))
    await result(store.append("a", exchange("five"), start, outgrown=1, summary="old"))
    assert await questions(store, "a") == ["three", "four", "five"]
    assert (await result(store.read("a"))).summary == "new"


@any_store
async def test_runs_that_begin_one_conversation_both_count(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    start = await result(store.read("a"))
    for each in ("one", "two"):
        await result(store.append("a", exchange(each), start))
    assert await questions(store, "a") == ["one", "two"]


@any_store
async def test_forgotten_conversation_stays_forgotten(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await add(store, "a", "secret")
    start = await result(store.read("a"))
    await result(store.forget("a"))
    await result(store.append("a", exchange("late"), start))
    assert await result(store.read("a")) == Snapshot()
    await add(store, "a", "new")
    await result(store.append("a", exchange("late"), start))
    assert await questions(store, "a") == ["new"]
    await result(store.forget("unknown"))


@any_store
async def test_replaced_conversation_stays_replaced(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await add(store, "a", "old")
    start = await result(store.read("a"))
    loaded = StoredConversation((exchange("loaded"),), "before")
    await result(store.replace("a", loaded))
    await result(store.append("a", exchange("late"), start))
    read = await result(store.read("a"))
    assert (read.exchanges, read.summary) == (loaded.exchanges, "before")


@any_store
async def test_ids_are_newest_first(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    for key in ("a", "b", "c", "a"):
        await add(store, key, "hello")
    assert await result(store.ids()) == ["a", "c", "b"]


@any_store
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("INVOICE", ["b", "a"]),
        ("straße 7", ["a"]),
        ("100%", ["b"]),
        ("_", []),
        ("Oslo", ["c"]),
        ("cold", ["c"]),
        ("请帮我", ["b"]),
        ("provider_data", []),
    ],
    ids=["case", "casefold", "percent", "underscore", "call", "result", "chinese", "field"],
)
async def test_ids_with_text_are_found(
    make: Make, tmp_path: Path, text: str, found: list[str]
) -> None:
    store = make(tmp_path)
    await add(store, "a", "My Invoice for Straße 7", "thanks")
    await add(store, "b", "Is 100% of the invoice paid? 请帮我看")
    start = await result(store.read("c"))
    await result(store.append("c", exchange_with_tool("How is it?"), start))
    assert await result(store.ids(text)) == found


@any_store
async def test_odd_ids_and_texts_are_kept(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    for key in ("", "a'b", "日本", "x" * 5000, "a\0b"):
        await add(store, key, f"nul \0 in {key}")
        assert len(await questions(store, key)) == 1
    assert len(await result(store.ids())) == 5


async def test_lone_surrogates_are_stored_as_question_marks(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "a.db")
    said = Message("user", (TextPart("half \ud83d", {"x": {"y": ["\udc80"]}}),))
    start = await store.read("a")
    await store.append("a", (said,), start, summary="sum \ud83d")
    read = await store.read("a")
    assert read.exchanges == ((Message("user", (TextPart("half ?", {"x": {"y": ["?"]}}),)),),)
    assert read.summary == "sum ?"
    await store.aclose()


@any_store
async def test_generation_is_never_used_again(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    seen = set()
    for _ in range(3):
        await add(store, "a", "one")
        seen.add((await result(store.read("a"))).generation)
        await result(store.forget("a"))
    assert len(seen) == 3


def waiting(asked: str) -> Exchange:
    return Message.user(asked), Message.assistant(ToolCall("call_1", "pay", "{}"))


async def defer(store: ConversationStore, key: str, asked: str) -> Snapshot:
    start = await result(store.read(key))
    await result(store.append(key, waiting(asked), start, deferred=True))
    return await result(store.read(key))


@any_store
async def test_deferred_exchange_stands_beside_the_others(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await add(store, "a", "one")
    read = await defer(store, "a", "pay")
    assert (read.deferred, [each[0].text for each in read.exchanges]) == (waiting("pay"), ["one"])
    first = await defer(store, "b", "pay b")
    assert (first.deferred, first.exchanges) == (waiting("pay b"), ())
    assert first.deferral != read.deferral
    again = await defer(store, "a", "pay more")
    assert (again.deferred, again.generation) == (waiting("pay more"), read.generation)
    assert again.deferral > read.deferral


@any_store
async def test_deferred_exchange_is_taken_once(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    assert not await result(store.take_deferred("a", Snapshot()))
    old = await defer(store, "a", "pay")
    read = await defer(store, "a", "pay more")
    assert not await result(store.take_deferred("a", old))
    assert await result(store.take_deferred("a", read))
    assert not await result(store.take_deferred("a", read))
    left = await result(store.read("a"))
    assert (left.deferred, left.deferral, left.generation) == ((), 0, read.generation)


@any_store
async def test_append_deletes_the_deferred_exchange_of_its_start(
    make: Make, tmp_path: Path
) -> None:
    store = make(tmp_path)
    before = await result(store.read("a"))
    read = await defer(store, "a", "pay")
    await result(store.append("a", exchange("from elsewhere"), before))
    assert (await result(store.read("a"))).deferral == read.deferral
    await result(store.append("a", exchange("no"), read))
    left = await result(store.read("a"))
    assert (left.deferred, left.deferral) == ((), 0)
    assert await questions(store, "a") == ["from elsewhere", "no"]


@any_store
async def test_forgotten_and_replaced_deferred_exchanges(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    read = await defer(store, "a", "pay")
    await result(store.forget("a"))
    assert not await result(store.take_deferred("a", read))
    await result(store.append("a", waiting("late"), read, deferred=True))
    assert await result(store.read("a")) == Snapshot()
    await result(store.replace("a", StoredConversation((), "", waiting("loaded"))))
    loaded = await result(store.read("a"))
    assert loaded.deferred == waiting("loaded")
    assert await result(store.take_deferred("a", loaded))
