"""Test exceptions, re-entrancy and HTTP with `share_bounded`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import Numbers, Seen, settle
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxagents import OpenAI, from_aiter, to_aiter
from rxagents import operators as ops
from rxagents.runtime.bridge import bridge_of
from rxagents.testing import Ending, Reply, ScriptedServer

# Exceptions.


async def test_raising_subscriber_leaves_alone(loop_errors: list[Exception]) -> None:
    numbers = Numbers(10)

    def broken(number: int) -> None:
        calls.append(number)
        if number == 3:
            raise KeyError("mine")

    calls: list[int] = []
    shared = from_aiter(numbers).pipe(ops.share_bounded())
    before = Seen(shared)
    shared.subscribe(broken, lambda error: calls.append(-1))
    after = Seen(shared)
    await before.over.wait()
    assert before.notes == after.notes == [*range(10), "end"]
    assert calls == [0, 1, 2, 3]
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


async def test_to_aiter_raises_only_subscribers_exception() -> None:
    numbers = Numbers()

    def broken(observer: abc.ObserverBase[int], scheduler: Any = None) -> abc.DisposableBase:
        def on_next(_: int) -> None:
            raise KeyError("mine")

        return shared.subscribe(on_next, scheduler=scheduler)

    shared = from_aiter(numbers).pipe(ops.share_bounded())
    async with to_aiter(Observable(broken)) as items:
        with pytest.raises(KeyError):
            await anext(items)
    assert numbers.closed == 1


async def test_exception_above_reaches_all_awaiting() -> None:
    numbers = Numbers()

    def broken(observer: abc.ObserverBase[int], scheduler: Any = None) -> abc.DisposableBase:
        def on_next(_: int) -> None:
            raise KeyError("mine")

        return from_aiter(numbers).subscribe(on_next, scheduler=scheduler)

    shared = Observable(broken).pipe(ops.share_bounded())
    plain = Seen(shared)
    async with to_aiter(shared) as first, to_aiter(shared) as second:
        for reader in (first, second):
            with pytest.raises(KeyError):
                await anext(reader)
    assert plain.notes == []
    assert numbers.closed == 1


async def test_readers_wait_for_slow_cleanup() -> None:
    may_close, closed = asyncio.Event(), False

    async def slow_to_close() -> AsyncIterator[int]:
        nonlocal closed
        try:
            yield 1
            yield 2
        finally:
            while not may_close.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await may_close.wait()
            closed = True

    shared = from_aiter(slow_to_close).pipe(rx_ops.take(1), ops.share_bounded())

    async def read() -> bool:
        async with to_aiter(shared) as items:
            _ = [item async for item in items]
        return closed

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    left_early = [reader for reader in readers if reader.done()]
    may_close.set()
    assert await asyncio.gather(*readers) == [True, True]
    assert not left_early


# Re-entrancy.


async def test_joining_inside_on_next_keeps_order() -> None:
    subject: Subject[int] = Subject()
    shared = subject.pipe(ops.share_bounded())
    inner: list[Seen] = []

    def on_next(number: int) -> None:
        if number == 1:
            inner.append(Seen(shared))
            other.subscription.dispose()

    subscription = shared.subscribe(on_next)
    other, last = Seen(shared), Seen(shared)
    for number in (1, 2, 3):
        subject.on_next(number)
        if number == 2:
            subscription.dispose()
    assert (other.notes, last.notes, inner[0].notes) == ([], [1, 2, 3], [2, 3])


async def test_feedback_has_one_order() -> None:
    subject: Subject[int] = Subject()
    shared = subject.pipe(ops.share_bounded())

    def feed_back(number: int) -> None:
        if number < 3:
            subject.on_next(number + 1)
        else:
            subject.on_completed()

    shared.subscribe(feed_back)
    seen = Seen(shared)
    subject.on_next(0)
    assert seen.notes == [0, 1, 2, 3, "end"]


async def test_rejoining_inside_on_next_restarts() -> None:
    numbers = Numbers(5)
    shared = from_aiter(numbers).pipe(ops.share_bounded())
    again: list[Seen] = []

    def on_next(_: int) -> None:
        subscription.dispose()
        again.append(Seen(shared))

    subscription = shared.subscribe(on_next)
    await settle()
    await again[0].over.wait()
    assert again[0].notes == [0, 1, 2, 3, 4, "end"]
    assert (len(again), numbers.started, numbers.closed) == (1, 2, 2)


async def test_only_subscriber_leaves_inside_subscribe(loop_errors: list[Exception]) -> None:
    def source(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
        for number in range(3):
            observer.on_next(number)
        observer.on_completed()
        return Disposable()

    def broken(_: int) -> None:
        raise KeyError("mine")

    shared = Observable(source).pipe(ops.share_bounded())
    shared.subscribe(broken)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()
    assert Seen(shared).notes == [0, 1, 2, "end"]


async def test_subscribers_keep_their_context_variables() -> None:
    name: ContextVar[str] = ContextVar("name")
    found: list[tuple[str, object]] = []
    shared = from_aiter(Numbers(1)).pipe(ops.share_bounded())
    over = asyncio.Event()
    for value in ("first", "second"):
        name.set(value)
        shared.subscribe(
            lambda _: found.append((name.get(), bridge_of(None))), on_completed=over.set
        )
    name.set("neither")
    await over.wait()
    assert found == [("first", None), ("second", None)]


@given(
    st.lists(
        st.one_of(
            st.just("emit"),
            st.tuples(st.sampled_from(["join", "leave"]), st.integers(0, 4)),
        ),
        max_size=40,
    )
)
def test_subscriber_sees_items_until_leaving(script: list[Any]) -> None:
    async def check() -> None:
        subject: Subject[int] = Subject()
        shared = subject.pipe(ops.share_bounded())
        here: dict[int, tuple[Seen, list[int]]] = {}
        everyone: list[tuple[Seen, list[int]]] = []
        for number, step in enumerate(script):
            match step:
                case "emit":
                    subject.on_next(number)
                    for _, expected in here.values():
                        expected.append(number)
                case ("join", who) if who not in here:
                    here[who] = Seen(shared), []
                    everyone.append(here[who])
                case ("leave", who) if who in here:
                    here.pop(who)[0].subscription.dispose()
            assert len(subject.observers) == bool(here)
        assert all(seen.notes == expected for seen, expected in everyone)

    asyncio.run(check())


# Over HTTP.


async def test_one_request_serves_both_readers() -> None:
    words = "word " * 300
    async with (
        ScriptedServer(words) as server,
        OpenAI("scripted", base_url=server.url, max_retries=0) as llm,
    ):
        shared = llm.chat_stream("hi").pipe(ops.share_bounded())
        async with to_aiter(shared, capacity=1) as stopped:
            await anext(stopped)
            async with to_aiter(shared) as reader:
                chunks = [chunk async for chunk in reader]
            assert chunks[-1].content == words
            assert len(chunks) >= 290
            assert [chunk async for chunk in stopped][-1].content == words
        assert len(server.requests) == 1


async def test_last_leaver_closes_the_connection() -> None:
    stalled = Reply("one two three", ending=Ending.STALL, cut_after=3)
    async with (
        ScriptedServer(stalled) as server,
        OpenAI("scripted", base_url=server.url, max_retries=0) as llm,
    ):
        shared = llm.chat_stream("hi").pipe(ops.share_bounded())
        async with to_aiter(shared) as last:
            async with to_aiter(shared) as first:
                await anext(first)
            await settle()
            assert server.disconnects == 0
            await anext(last)
        await server.disconnected()
        assert len(server.requests) == 1
