"""Test `persist`: what passes, what is kept, and how the two end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from log_stores import Clock, SlowStore, lines
from marbles import play
from observing import Numbers, Seen, fail, in_thread, settle
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

import rxagents
from rxagents import (
    BackpressureError,
    ConfigurationError,
    EventLog,
    LeaseError,
    MemoryLogStore,
    RateLimitError,
    StorageError,
    StreamChunk,
    Token,
)
from rxagents import operators as ops
from rxagents.runtime.event_log import log_writer

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


def test_items_pass_and_are_kept() -> None:
    log = EventLog()
    messages = [on_next(210, "a"), on_next(230, {"b": 1}), on_completed(240)]
    assert play(ops.persist(log, "run"), *messages) == messages
    assert lines(log, "run") == [{"item": "a"}, {"item": {"b": 1}}, {"completed": True}]


def test_error_is_kept_and_passes() -> None:
    log, failure = EventLog(), RateLimitError("slow down", provider="any", status=429)
    messages = [on_next(210, "a"), on_error(220, failure)]
    assert play(ops.persist(log, "run"), *messages) == messages
    assert lines(log, "run")[-1]["error"]["kind"] == "RateLimitError"


@pytest.mark.parametrize("disposed", [205.5, 215.5])
def test_dispose_writes_the_mark(disposed: float) -> None:
    log = EventLog()
    seen = play(ops.persist(log, "run"), on_next(210, "a"), disposed=disposed)
    assert lines(log, "run") == [{"item": "a"}] * len(seen) + [{"stopped": "disposed"}]


async def test_dispose_in_thread_writes_the_mark() -> None:
    log, source = EventLog(), Subject[str]()
    seen = Seen(source.pipe(ops.persist(log, "run")))
    source.on_next("a")
    in_thread(seen.subscription.dispose)
    await settle()
    assert lines(log, "run") == [{"item": "a"}, {"stopped": "disposed"}]
    assert seen.notes == ["a"]


def test_dispose_after_loop_end_writes_the_mark() -> None:
    log = EventLog()
    kept: list[Any] = []

    async def leave() -> None:
        kept.append(rx.never().pipe(ops.persist(log, "run")).subscribe())

    asyncio.run(leave())
    assert lines(log, "run") == []
    kept[0].dispose()
    assert lines(log, "run") == [{"stopped": "disposed"}]


async def test_raising_consumer_ends_run_as_disposed(loop_errors: list[Exception]) -> None:
    log = EventLog()
    rxagents.from_aiter(Numbers(5)).pipe(ops.persist(log, "run")).subscribe(fail)
    await settle()
    assert lines(log, "run") == [{"item": 0}, {"stopped": "disposed"}]
    loop_errors.clear()


async def test_key_that_is_written_is_refused() -> None:
    log, source = EventLog(), Subject[str]()
    first = Seen(source.pipe(ops.persist(log, "run")))
    second = Seen(source.pipe(ops.persist(log, "run")))
    source.on_next("a")
    source.on_completed()
    assert isinstance(second.error, LeaseError)
    assert "'run' is being written" in str(second.error)
    assert first.notes == ["a", "end"]
    assert lines(log, "run") == [{"item": "a"}, {"completed": True}]


async def test_key_function_is_called_for_each_subscription() -> None:
    log, keys = EventLog(), iter(["one", "two"])
    stream = rx.of("a").pipe(ops.persist(log, lambda: next(keys)))
    assert [Seen(stream).notes, Seen(stream).notes] == [["a", "end"]] * 2
    assert lines(log, "one") == lines(log, "two") == [{"item": "a"}, {"completed": True}]


@pytest.mark.parametrize(
    ("item", "is_reset"),
    [
        (Token("a"), lambda line: line["item"]["type"] == "reset"),
        (StreamChunk("a"), lambda line: "reset" in line["item"]["metadata"]),
    ],
    ids=["event", "chunk"],
)
async def test_next_attempt_begins_with_reset(item: Any, is_reset: Any) -> None:
    log = EventLog()
    for _ in range(2):
        assert Seen(rx.of(item).pipe(ops.persist(log, "run"))).notes == [item, "end"]
    kept = lines(log, "run")
    assert [("item" in line and is_reset(line)) for line in kept] == [
        False,
        False,
        True,
        False,
        False,
    ]


async def test_other_items_have_no_reset() -> None:
    log = EventLog()
    for item in "ab":
        Seen(rx.of(item).pipe(ops.persist(log, "run")))
    assert [line.get("item") for line in lines(log, "run")] == ["a", None, "b", None]


async def test_writer_that_lost_its_lease_is_refused() -> None:
    clock = Clock()
    log = EventLog(MemoryLogStore(clock=clock))
    old, new = Subject[str](), Subject[str]()
    first = Seen(old.pipe(ops.persist(log, "run")))
    old.on_next("a")
    clock.now += 15
    second = Seen(new.pipe(ops.persist(log, "run")))
    old.on_next("b")
    new.on_next("c")
    await asyncio.sleep(0)  # the second item of a turn is written in the next one
    assert isinstance(first.error, LeaseError)
    assert not old.observers
    new.on_completed()
    assert second.notes == ["c", "end"]
    assert lines(log, "run") == [
        {"item": "a"},
        {"stopped": "interrupted"},
        {"item": "c"},
        {"completed": True},
    ]


@pytest.mark.parametrize("silent", [14.0, 60.0])
async def test_silent_stream_keeps_its_lease(silent: float) -> None:
    loop = asyncio.get_running_loop()
    log = EventLog(MemoryLogStore(clock=loop.time))
    seen = Seen(rx.never().pipe(ops.persist(log, "run")))
    await asyncio.sleep(silent)
    assert await log.mark_interrupted() == []
    seen.subscription.dispose()
    assert lines(log, "run") == [{"stopped": "disposed"}]


async def test_silent_stream_that_lost_its_run_fails() -> None:
    log = EventLog()
    seen = Seen(rx.never().pipe(ops.persist(log, "run")))
    await log.forget("run")
    await asyncio.sleep(5.5)
    assert isinstance(seen.error, LeaseError)


class Unwritable:
    """An item that msgspec cannot encode."""


async def test_item_that_cannot_be_stored_fails_the_stream() -> None:
    log, source = EventLog(), Subject[Any]()
    seen = Seen(source.pipe(ops.persist(log, "run")))
    source.on_next("a")
    source.on_next(Unwritable())
    assert isinstance(seen.error, StorageError)
    assert "Unwritable" in str(seen.error)
    assert lines(log, "run")[-1]["error"]["kind"] == "StorageError"
    assert not source.observers


async def test_lone_surrogate_becomes_question_mark() -> None:
    log = EventLog()
    assert Seen(rx.of("a\ud800").pipe(ops.persist(log, "run"))).completed
    assert lines(log, "run")[0] == {"item": "a?"}


async def test_lines_of_a_slow_store_are_batched() -> None:
    store, source = SlowStore(), Subject[int]()
    log = EventLog(store)
    seen = Seen(source.pipe(ops.persist(log, "run")))
    assert not source.observers
    store.answer()
    for number in range(10):
        source.on_next(number)
    source.on_completed()
    assert store.batches == [1]
    store.answer()
    assert store.batches == [1, 10]
    assert seen.notes == list(range(10))
    store.answer()
    assert seen.notes[-1] == "end"
    assert [line.get("item") for line in lines(log, "run")] == [*range(10), None]


async def test_dispose_while_the_store_works() -> None:
    store, source = SlowStore(), Subject[int]()
    log = EventLog(store)
    seen = Seen(source.pipe(ops.persist(log, "run")))
    store.answer()
    source.on_next(1)
    source.on_next(2)
    seen.subscription.dispose()
    assert store.batches == [1, 2], "the loop may be closed before the first is answered"
    store.answer(2)
    assert lines(log, "run") == [{"item": 1}, {"item": 2}, {"stopped": "disposed"}]
    assert not log.writers


async def test_dispose_before_the_attempt_has_begun() -> None:
    store, source = SlowStore(), Subject[int]()
    log = EventLog(store)
    Seen(source.pipe(ops.persist(log, "run"))).subscription.dispose()
    store.answer(2)
    assert lines(log, "run") == [{"stopped": "disposed"}]
    assert not source.observers
    assert not log.writers


async def test_failed_write_fails_the_stream() -> None:
    store, source = SlowStore(), Subject[int]()
    seen = Seen(source.pipe(ops.persist(EventLog(store), "run")))
    store.answer()
    source.on_next(1)
    store.failure = StorageError("the disk is full")
    store.answer()
    assert str(seen.error) == "the disk is full"
    assert not source.observers


async def test_failed_end_mark_keeps_the_error_of_the_source(loop_errors: list[Exception]) -> None:
    store, source = SlowStore(), Subject[int]()
    seen = Seen(source.pipe(ops.persist(EventLog(store), "run")))
    store.answer()
    source.on_error(OSError("the wire is cut"))
    store.failure = StorageError("the disk is full")
    store.answer()
    assert isinstance(seen.error, OSError)
    assert [str(error) for error in loop_errors] == ["the disk is full"]
    loop_errors.clear()


async def test_store_that_is_too_slow_fails_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "_HIGH", 5)
    monkeypatch.setattr(log_writer, "_MOST", 10)
    store, source = SlowStore(), Subject[int]()
    seen = Seen(source.pipe(ops.persist(EventLog(store), "run")))
    store.answer()
    for number in range(12):
        source.on_next(number)
    assert isinstance(seen.error, BackpressureError)
    assert seen.items == list(range(11))


@pytest.mark.parametrize("key", ["", "a\n", "\ud800", "x" * 513, 7])
def test_wrong_key_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="key must be a text of 1 to 512 characters"):
        ops.persist(EventLog(), key)


def test_wrong_log_is_refused() -> None:
    wrong: Any = MemoryLogStore()
    with pytest.raises(ConfigurationError, match=r"an rxagents\.EventLog, not MemoryLogStore"):
        ops.persist(wrong, "run")
    with pytest.raises(ConfigurationError, match=r"MemoryLogStore\(\), not str"):
        EventLog("run.db")  # type: ignore[arg-type]  # that is the point


class _CountingStore(MemoryLogStore):
    """Counts its writes."""

    appends = 0

    def append(self, *arguments: Any, **options: Any) -> None:
        self.appends += 1
        super().append(*arguments, **options)


async def test_burst_is_written_in_two_calls() -> None:
    store = _CountingStore()
    source = Subject[int]()
    Seen(source.pipe(ops.persist(EventLog(store), "run")))
    for number in range(16):
        source.on_next(number)
    assert store.appends == 1
    await asyncio.sleep(0)
    assert store.appends == 2
    assert len(store.read("run", None, 100).entries) == 16
    source.on_next(16)
    assert store.appends == 3
    source.on_completed()
