"""Test `from_log`, and runs that the log starts: readers come, go and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from log_stores import Clock, LatePages, SlowStore, lines
from observing import Numbers, Seen, in_thread, settle
from reactivex import operators as rx_ops
from reactivex.subject import Subject
from reactivex.testing import TestScheduler
from running import run_async

import rxagents
from rxagents import (
    ConfigurationError,
    EventLog,
    LeaseError,
    LogEntry,
    LogGoneError,
    MemoryLogStore,
    RateLimitError,
    Retention,
    RunInterruptedError,
    StreamCancelledError,
    StreamChunk,
    StreamDecodeError,
    Token,
    from_log,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.runtime.event_log import log_writer
from rxagents.runtime.event_log.log_store import Page, Position


def _inverse(number: int) -> int:
    return 1 // number


async def kept_run(log: EventLog, *items: Any, key: str = "run") -> None:
    await log.start(key, rx.of(*items)).wait()


def ids(seen: Seen) -> list[str]:
    return [entry.id for entry in seen.items]


async def test_ids_and_items_from_any_entry() -> None:
    log = EventLog()
    await kept_run(log, "a", "b", "c")
    for after, expected in [(None, "abc"), ("1-1", "bc"), ("1-3", "")]:
        seen = Seen(from_log(log, "run", str, after=after))
        assert not seen.notes
        await seen.over.wait()
        assert [entry.item for entry in seen.items] == list(expected)
        assert ids(seen) == ["1-1", "1-2", "1-3"][3 - len(expected) :]
        assert seen.completed


async def test_reader_joins_and_follows() -> None:
    log, source = EventLog(), Subject[str]()
    log.start("run", source)
    source.on_next("a")
    seen = Seen(from_log(log, "run", str))
    await settle()
    assert ids(seen) == ["1-1"]
    source.on_next("b")
    source.on_next("c")
    await settle()
    assert ids(seen) == ["1-1", "1-2", "1-3"]
    source.on_completed()
    await settle()
    assert seen.completed
    await log.aclose()


async def test_reader_that_leaves_does_not_touch_the_run() -> None:
    log, source = EventLog(), Subject[str]()
    handle = log.start("run", source)
    seen = Seen(from_log(log, "run", str))
    source.on_next("a")
    await settle()
    seen.subscription.dispose()
    source.on_next("b")
    source.on_completed()
    await handle.wait()
    assert len(seen.notes) == 1
    assert [line.get("item") for line in lines(log, "run")] == ["a", "b", None]


def test_reader_in_virtual_time() -> None:
    scheduler, log = TestScheduler(), EventLog()
    source = scheduler.create_hot_observable(
        *[rx.testing.ReactiveTest.on_next(300 + 10 * n, n) for n in range(3)],
        rx.testing.ReactiveTest.on_completed(340),
    )
    source.pipe(ops.persist(log, "run")).subscribe(scheduler=scheduler)
    observer = scheduler.start(lambda: from_log(log, "run", int))
    times = [message.time for message in observer.messages]
    assert times == [300, 310, 320, 340]


async def test_failed_run_fails_its_readers() -> None:
    log = EventLog()
    failure = RateLimitError("slow down", provider="any", status=429)
    await log.start("run", rx.concat(rx.of("a"), rx.throw(failure))).wait()
    seen = Seen(from_log(log, "run", str))
    await seen.over.wait()
    assert ids(seen) == ["1-1"]
    assert isinstance(seen.error, RateLimitError)
    assert (str(seen.error), seen.error.status) == ("slow down", 429)


class LatePageEnd(MemoryLogStore):
    """A store that learns only from an empty page that nothing follows the one before."""

    def read(self, key: str, after: Position | None, limit: int) -> Page:
        page = super().read(key, after, limit)
        return Page(page.entries, "more") if page.entries else page


async def test_end_mark_before_an_empty_page_counts() -> None:
    log = EventLog(LatePageEnd())
    await log.start("run", rx.throw(RateLimitError("Too fast.", status=429))).wait()
    seen = Seen(from_log(log, "run", int))
    await seen.over.wait()
    assert isinstance(seen.error, RateLimitError)


@pytest.mark.parametrize("how", ["handle", "log", "thread", "close"])
async def test_stop_ends_the_run_as_disposed(how: str) -> None:
    log, numbers = EventLog(), Numbers()
    handle = log.start("run", rxagents.from_aiter(numbers))
    seen = Seen(from_log(log, "run", int))
    await seen.first.wait()
    match how:
        case "handle":
            handle.stop()
            handle.stop()
        case "log":
            assert log.stop("run")
        case "thread":
            in_thread(handle.stop)
        case "close":
            await log.aclose()
    await handle.wait()
    await seen.over.wait()
    assert numbers.closed == 1
    assert isinstance(seen.error, StreamCancelledError)
    assert lines(log, "run")[-1] == {"stopped": "disposed"}
    assert not log.stop("run")
    await log.aclose()


async def test_key_of_a_started_run_is_refused() -> None:
    async with EventLog() as log:
        handle = log.start("run", rx.never())
        with pytest.raises(LeaseError, match="has started the run 'run'"):
            log.start("run", rx.never())
        handle.stop()
        await handle.wait()
        log.start("run", rx.never())


async def test_wait_raises_what_kept_the_run_from_being_kept() -> None:
    async with EventLog() as log:
        other = Seen(rx.never().pipe(ops.persist(log, "run")))
        with pytest.raises(LeaseError, match="is being written"):
            await log.start("run", rx.of("a")).wait()
        other.subscription.dispose()


async def test_raising_operator_ends_the_run_with_its_error() -> None:
    async with EventLog() as log:
        source = Subject[int]()
        handle = log.start("run", source.pipe(ops.tap_safely(print), rx_ops.map(_inverse)))
        source.on_next(0)
        await handle.wait()
        assert lines(log, "run")[-1]["error"]["kind"] == "ZeroDivisionError"


async def test_slow_store_slows_a_started_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "_HIGH", 10)
    store, numbers = SlowStore(), Numbers(100)
    log = EventLog(store)
    handle = log.start("run", rxagents.from_aiter(numbers))
    store.answer()
    await asyncio.sleep(1)
    assert numbers.made <= 13
    while not numbers.closed or store.waiting:
        store.answer(len(store.waiting))
        await settle()
    await handle.wait()
    assert [line.get("item") for line in lines(log, "run")] == [*range(100), None]


@pytest.mark.real_time
async def test_writer_on_another_loop() -> None:
    log = EventLog()

    async def write() -> None:
        await log.start("run", rxagents.from_aiter(paced)).wait()

    async def paced() -> AsyncIterator[int]:
        for number in range(200):
            yield number
            if number % 10 == 0:
                await asyncio.sleep(0.0005)

    writing = asyncio.create_task(asyncio.to_thread(asyncio.run, write()))
    received: list[int] = []
    while not received:  # it may not have begun yet
        seen = Seen(from_log(log, "run", int))
        await seen.over.wait()
        received = [entry.item for entry in seen.items]
    assert seen.completed
    assert received == list(range(200))
    assert len(seen.threads) == 1
    await writing


async def test_entry_that_comes_while_a_page_is_read() -> None:
    store, source = LatePages(), Subject[str]()
    log = EventLog(store)
    log.start("run", source)
    seen = Seen(from_log(log, "run", str))
    await settle()
    source.on_next("a")
    store.answer()
    await settle()
    store.answer()
    assert ids(seen) == ["1-1"]
    await log.aclose()
    await settle()
    store.answer()
    assert seen.over.is_set()


async def test_slow_reader_gets_all_and_holds_up_nobody() -> None:
    log = EventLog()
    numbers = Numbers(2000)
    handle = log.start("run", rxagents.from_aiter(numbers))
    received: list[int] = []
    async with to_aiter(from_log(log, "run", int), capacity=4) as entries:
        async for entry in entries:
            if not received:
                await handle.wait()
            received.append(entry.item)
    assert received == list(range(2000))


async def test_waiting_reader_gets_tokens_without_decoding() -> None:
    log, tokens = EventLog(), Subject[Token]()
    log.start("run", tokens)
    live = Seen(from_log(log, "run"))
    written = [Token(text) for text in "abcd"]
    for token in written:
        tokens.on_next(token)
        await settle()
    again = Seen(from_log(log, "run"))
    await settle()
    tokens.on_completed()
    await again.over.wait()
    assert live.items == again.items
    assert live.items[1].item is written[1]
    assert again.items[1].item is not written[1]


async def test_entry_that_was_read_is_not_handed_over() -> None:
    log, tokens = EventLog(), Subject[Token]()
    log.start("run", tokens)
    seen = Seen(from_log(log, "run"))
    await settle()
    log.notifier("run").wake()  # the reader asks the store in the next turn, before the writer's
    tokens.on_next(Token("a"))
    tokens.on_next(Token("b"))
    await settle()
    tokens.on_completed()
    await seen.over.wait()
    assert ids(seen) == ["1-1", "1-2"]


async def test_reader_that_fell_behind_goes_on_without_a_gap() -> None:
    log, tokens = EventLog(), Subject[Token]()
    log.start("run", tokens)
    received: list[str] = []
    async with to_aiter(from_log(log, "run"), capacity=1) as entries:
        for number in range(60):
            tokens.on_next(Token(str(number)))
            await settle()
            if number % 3 == 2:
                received.append((await anext(entries)).item.content)
        tokens.on_completed()
        received += [entry.item.content async for entry in entries]
    assert received == [str(number) for number in range(60)]


@pytest.mark.parametrize("finder", ["reader", "log"])
async def test_lost_run_ends_as_interrupted_for_its_reader(finder: str) -> None:
    clock = Clock()
    store = MemoryLogStore(clock=clock)
    log = EventLog(store)
    token = store.begin("run").token  # by a process that then hangs
    store.append("run", token, 1, [b'{"at":0,"item":"a"}'], ends=False)
    seen = Seen(from_log(log, "run", str))
    clock.now += 14.9
    await asyncio.sleep(16)
    assert ids(seen) == ["1-1"]
    assert await log.mark_interrupted() == []
    assert not seen.over.is_set()
    clock.now += 0.2
    if finder == "log":
        assert await log.mark_interrupted() == ["run"]
        await settle()
    else:
        await asyncio.sleep(16)
    assert isinstance(seen.error, RunInterruptedError)
    again = Seen(from_log(log, "run", str, after="1-1"))
    await again.over.wait()
    assert isinstance(again.error, RunInterruptedError)
    with pytest.raises(LeaseError, match="This attempt of the run 'run' can no longer be written"):
        store.append("run", token, 2, [b'{"at":0,"item":"b"}'], ends=False)
    assert lines(log, "run") == [{"item": "a"}, {"stopped": "interrupted"}]


async def test_reader_sees_attempts_apart() -> None:
    log = EventLog()
    await kept_run(log, Token("a"), Token("b"))
    source = Subject[Token]()
    log.start("run", source)
    seen = Seen(from_log(log, "run"))
    late = Seen(from_log(log, "run", after="1-2"))
    source.on_next(Token("c"))
    source.on_completed()
    await seen.over.wait()
    await late.over.wait()
    assert [(entry.id, entry.item.type) for entry in seen.items] == [
        ("1-1", "token"),
        ("1-2", "token"),
        ("2-1", "reset"),
        ("2-2", "token"),
    ]
    assert ids(late) == ["2-1", "2-2"]


@pytest.mark.parametrize("after", [None, "1-1", "1-9", "2-1"])
async def test_entry_that_is_gone_is_typed_error(after: str | None) -> None:
    log = EventLog(MemoryLogStore(Retention(entries=3)))
    await kept_run(log, *range(5))
    seen = Seen(from_log(log, "run", int, after=after))
    await seen.over.wait()
    assert isinstance(seen.error, LogGoneError)
    assert seen.error.first_id == "1-4"
    assert (after or "the beginning") in str(seen.error)
    rest = Seen(from_log(log, "run", int, after="1-3"))
    await rest.over.wait()
    assert ids(rest) == ["1-4", "1-5"]


async def test_unknown_run_is_typed_error() -> None:
    seen = Seen(from_log(EventLog(), "run"))
    await seen.over.wait()
    assert isinstance(seen.error, LogGoneError)
    assert seen.error.first_id == ""


async def test_reader_that_is_overtaken_fails() -> None:
    log, source = EventLog(MemoryLogStore(Retention(entries=5))), Subject[int]()
    handle = log.start("run", source)
    async with to_aiter(from_log(log, "run", int), capacity=2) as entries:
        source.on_next(0)
        await settle()
        for number in range(1, 100):
            source.on_next(number)
            await asyncio.sleep(0)
        source.on_completed()
        await handle.wait()
        with pytest.raises(LogGoneError):
            async for _ in entries:
                pass


async def test_chunks_have_their_content_again() -> None:
    log = EventLog()
    await kept_run(log, StreamChunk("a", index=0), StreamChunk("b", index=1))
    seen = Seen(from_log(log, "run", StreamChunk))
    await seen.over.wait()
    assert [entry.item.content for entry in seen.items] == ["a", "ab"]


async def test_raw_items_are_json() -> None:
    log = EventLog()
    await kept_run(log, Token("a", timestamp=1.0))
    seen = Seen(from_log(log, "run", msgspec.Raw))
    await seen.over.wait()
    assert bytes(seen.items[0].item) == msgspec.json.encode(Token("a", timestamp=1.0))


async def test_item_of_another_type_is_decode_error() -> None:
    log = EventLog()
    await kept_run(log, "a")
    seen = Seen(from_log(log, "run", int))
    await seen.over.wait()
    assert isinstance(seen.error, StreamDecodeError)
    assert "The entry 1-1 of the run 'run' cannot be read" in str(seen.error)


@pytest.mark.parametrize(
    "after", ["", "1", "0-1", "1-0", "1-1 ", "-1-1", "\u0661-1", "1-" + "9" * 30, 7]
)
def test_wrong_id_is_refused(after: Any) -> None:
    with pytest.raises(ConfigurationError, match="after must be the id of an entry"):
        from_log(EventLog(), "run", after=after)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: from_log(3, "run"), "an rxagents.EventLog, not int"),  # type: ignore[call-overload]  # that is tested
        (lambda: from_log(EventLog(), ""), "key must be"),
        (lambda: from_log(EventLog(), "run", 3), "cannot be read as 3"),  # type: ignore[call-overload]  # that is tested
        (lambda: EventLog().start("run", [1]), "an Observable, not list"),  # type: ignore[arg-type]  # that is tested
        (lambda: EventLog().start("", rx.never()), "key must be"),
        (lambda: EventLog().start("run", rx.never()), "rxagents.run"),
        (lambda: MemoryLogStore(3), "Retention, not int"),  # type: ignore[arg-type]  # that is tested
        (lambda: Retention(entries=0), "entries must be a whole number"),
        (lambda: Retention(age=-1.0), "age must be a number of seconds"),
    ],
)
def test_wrong_argument_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


steps = st.lists(st.sampled_from(["write", "turn", "cut", "again"]), max_size=60)


@given(script=steps, slow=st.booleans())
def test_cut_readers_read_what_was_written(script: list[str], slow: bool) -> None:
    async def check() -> None:
        store = SlowStore() if slow else MemoryLogStore()
        log, source = EventLog(store), Subject[int]()
        received: list[LogEntry[int]] = []
        readers: list[Seen] = []
        written = 0

        def answer() -> None:
            if isinstance(store, SlowStore):
                store.answer(len(store.waiting))

        def join() -> None:
            after = received[-1].id if received else None
            readers.append(Seen(from_log(log, "run", int, after=after), received.append))

        handle = log.start("run", source)
        answer()
        join()
        for step in [*script, "cut"]:
            match step:
                case "write":
                    source.on_next(written)
                    written += 1
                case "turn":
                    answer()
                    await asyncio.sleep(0)
                case "cut":
                    readers.pop().subscription.dispose()
                    join()
                case "again":
                    source.on_completed()
                    while not handle._ended.done():
                        answer()
                        await asyncio.sleep(0)
                    await readers[-1].over.wait()
                    source = Subject[int]()
                    handle = log.start("run", source)
                    answer()
                    readers.pop()
                    join()
        source.on_completed()
        while not handle._ended.done():
            answer()
            await asyncio.sleep(0)
        await readers[-1].over.wait()
        assert readers[-1].completed
        assert [entry.item for entry in received] == list(range(written))
        assert len({entry.id for entry in received}) == written

    run_async(check())
