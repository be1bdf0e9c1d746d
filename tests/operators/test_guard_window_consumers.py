"""Test `guard_window` with slow, disposing and raising consumers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from harmless import is_harmless, is_harmless_after_a_while
from observing import Seen, in_thread, settle
from reactivex.subject import Subject

import rxagents
from rxagents import OutputError
from rxagents import operators as ops

Check = Callable[[str], bool] | Callable[[str], Awaitable[bool]]


async def test_asynchronous_check_slows_source() -> None:
    made = 0

    async def letters() -> AsyncIterator[str]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield "a"

    stream = rxagents.from_aiter(letters).pipe(ops.guard_window(is_harmless_after_a_while, 1))
    seen = Seen(stream)
    await asyncio.sleep(0.5)
    assert made < 80
    await seen.over.wait()
    assert seen.notes == ["a"] * 1000 + ["end"]


@pytest.mark.parametrize("check", [is_harmless, is_harmless_after_a_while])
async def test_full_reader_stops_source(check: Check) -> None:
    made = 0

    async def letters() -> AsyncIterator[str]:
        nonlocal made
        while True:
            made += 1
            yield "a"

    stream = rxagents.from_aiter(letters).pipe(ops.guard_window(check, 1))
    async with rxagents.to_aiter(stream, capacity=4) as reader:
        await asyncio.sleep(1000)
        assert made < 100
        assert [await anext(reader) for _ in range(200)] == ["a"] * 200


async def test_plain_subscriber_disposes_from_other_thread() -> None:
    subject: Subject[str] = Subject()
    seen = Seen(subject.pipe(ops.guard_window(is_harmless_after_a_while, 1)))
    await settle()
    subject.on_next("a")
    subject.on_next("b")
    await asyncio.sleep(2)
    assert seen.notes == ["a"]
    in_thread(seen.subscription.dispose)
    await settle()
    assert not subject.observers
    subject.on_next("c")
    await asyncio.sleep(2)
    assert seen.notes == ["a"]
    assert seen.threads == {threading.get_ident()}


def test_dispose_in_on_next_drops_window() -> None:
    subject: Subject[str] = Subject()
    out: list[str] = []

    def take_one(item: str) -> None:
        out.append(item)
        subscription.dispose()

    subscription = subject.pipe(ops.guard_window(is_harmless, 3)).subscribe(take_one)
    for letter in "uvwxyz":
        subject.on_next(letter)
    assert out == ["u"]
    assert not subject.observers


def test_reentrant_source_is_checked_too() -> None:
    subject: Subject[str] = Subject()
    out: list[Any] = []

    def echo(item: str) -> None:
        out.append(item)
        if item == "a":
            subject.on_next("bad")

    subject.pipe(ops.guard_window(is_harmless, 1)).subscribe(echo, out.append)
    subject.on_next("a")
    subject.on_next("x")
    assert out[0] == "a"
    assert isinstance(out[-1], OutputError)
    assert "bad" not in out


@pytest.mark.parametrize("check", [is_harmless, is_harmless_after_a_while])
async def test_raising_subscriber_is_reported_once(
    check: Check, loop_errors: list[Exception]
) -> None:
    failure = LookupError("the screen is gone")
    notes: list[Any] = []

    async def letters() -> AsyncIterator[str]:
        for letter in "uvwxyz":
            yield letter

    def fail(item: str) -> None:
        notes.append(item)
        raise failure

    rxagents.from_aiter(letters).pipe(ops.guard_window(check, 1)).subscribe(
        fail, notes.append, lambda: notes.append("end")
    )
    await asyncio.sleep(10)
    assert loop_errors == [failure]
    assert notes == ["u"]
    loop_errors.clear()
