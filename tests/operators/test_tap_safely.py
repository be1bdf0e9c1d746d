"""Test `tap_safely`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from marbles import play, play_twice
from observing import FAILURE, Numbers, Seen, fail, in_thread, letters
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

import rxagents
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


class Watcher:
    """Notes each call; then raises, if asked to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.notes: list[Any] = []
        self.failure = failure

    def note(self, seen: Any = "end") -> None:
        self.notes.append(seen)
        if self.failure is not None:
            raise self.failure

    @property
    def operator(self) -> Any:
        return ops.tap_safely(self.note, self.note, self.note)


def test_callback_sees_unchanged_stream() -> None:
    watcher = Watcher()
    messages = [on_next(210, 1), on_next(220, 2), on_completed(230)]
    assert play(watcher.operator, *messages) == messages
    assert watcher.notes == [1, 2, "end"]


def test_error_is_seen_and_passes() -> None:
    watcher, failure = Watcher(), OSError("cut")
    messages = [on_next(210, 1), on_error(220, failure)]
    assert play(watcher.operator, *messages) == messages
    assert watcher.notes == [1, failure]


def test_empty_and_endless_sources() -> None:
    watcher = Watcher()
    assert play(watcher.operator, on_completed(210)) == [on_completed(210)]
    assert play(watcher.operator) == []
    assert watcher.notes == ["end"]


@given(st.integers(200, 240))
def test_nothing_is_seen_after_dispose(disposed: int) -> None:
    watcher = Watcher()
    messages = [on_next(210, 1), on_next(220, 2), on_completed(230)]
    seen = play(watcher.operator, *messages, disposed=disposed + 0.5)
    assert seen == [message for message in messages if message.time <= disposed]
    assert len(watcher.notes) == len(seen)


def test_subscriptions_are_observed_separately() -> None:
    watcher = Watcher()
    first, second = play_twice(watcher.operator, 200, 205, on_next(10, 1), on_completed(20))
    assert first == [on_next(210, 1), on_completed(220)]
    assert second == [on_next(215, 1), on_completed(225)]
    assert watcher.notes == [1, 1, "end", "end"]


@pytest.mark.parametrize("ending", [None, OSError("cut")])
async def test_raising_callback_is_harmless(
    ending: Exception | None, loop_errors: list[Exception]
) -> None:
    watcher = Watcher(LookupError("no log"))

    async def letters() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        if ending is not None:
            raise ending

    seen = Seen(rxagents.from_aiter(letters).pipe(watcher.operator))
    await seen.over.wait()
    assert seen.notes == ["a", "b", ending or "end"]
    assert loop_errors == [watcher.failure] * 3
    loop_errors.clear()


def test_exception_without_loop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    out: list[int] = []
    with caplog.at_level(logging.WARNING, logger="rxagents"):
        rx.of(1, 2).pipe(ops.tap_safely(Watcher(LookupError("no")).note)).subscribe(out.append)
    assert out == [1, 2]
    assert [record.name for record in caplog.records] == ["rxagents"] * 2


def test_callback_can_dispose_the_stream() -> None:
    subject: Subject[int] = Subject()
    out: list[int] = []
    subscription = subject.pipe(ops.tap_safely(lambda _: subscription.dispose())).subscribe(
        out.append
    )
    subject.on_next(1)
    assert out == []
    assert not subject.observers


def test_reentrant_items_are_seen_too() -> None:
    subject: Subject[int] = Subject()
    watched: list[int] = []
    out: list[int] = []

    def echo(item: int) -> None:
        out.append(item)
        if item < 3:
            subject.on_next(item + 1)

    subject.pipe(ops.tap_safely(watched.append)).subscribe(echo)
    subject.on_next(1)
    assert watched == out == [1, 2, 3]


async def test_subscribers_exception_is_not_callbacks(loop_errors: list[Exception]) -> None:
    watcher = Watcher()
    rxagents.from_aiter(letters).pipe(watcher.operator).subscribe(fail)
    await asyncio.sleep(1)
    assert loop_errors == [FAILURE]
    assert watcher.notes == ["a"]
    loop_errors.clear()


def test_run_raises_what_the_subscriber_raises() -> None:
    with pytest.raises(LookupError):
        rxagents.run(rxagents.from_aiter(letters).pipe(Watcher().operator), fail)


async def test_plain_subscriber_disposes_from_other_thread() -> None:
    subject: Subject[int] = Subject()
    seen = Seen(subject.pipe(Watcher().operator))
    subject.on_next(1)
    in_thread(seen.subscription.dispose)
    subject.on_next(2)
    assert seen.notes == [1]
    assert not subject.observers


async def test_full_reader_stops_source() -> None:
    numbers = Numbers()
    stream = rxagents.from_aiter(numbers).pipe(Watcher().operator)
    async with rxagents.to_aiter(stream, capacity=4) as reader:
        await asyncio.sleep(100)
        assert numbers.made == 4
        assert await anext(reader) == 0


@pytest.mark.parametrize(
    "arguments", [(), (None, None, None), (7,), (None, "x"), (None, None, True)]
)
def test_non_function_is_refused(arguments: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError):
        ops.tap_safely(*arguments)


def test_ten_thousand_items_are_all_seen() -> None:
    watcher = Watcher()
    rx.from_iterable(range(10_000)).pipe(watcher.operator).subscribe()
    assert watcher.notes == [*range(10_000), "end"]


def test_coroutine_function_is_refused() -> None:
    async def watch(_: object) -> None:
        pytest.fail("nothing awaits it")

    with pytest.raises(rxagents.ConfigurationError, match="map_async"):
        ops.tap_safely(watch)
