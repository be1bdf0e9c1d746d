"""Make Observables of asynchronous iterables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from reactivex import operators as rx_ops

import rxagents
from rxagents import from_aiter


async def three() -> AsyncIterator[int]:
    for number in range(3):
        yield number


async def record(source: Any) -> list[Any]:
    notes: list[Any] = []
    over = asyncio.Event()

    def end(note: Any) -> None:
        notes.append(note)
        over.set()

    source.subscribe(notes.append, end, lambda: end("completed"))
    assert notes == [], "something was emitted inside subscribe"
    await over.wait()
    return notes


async def test_each_subscription_iterates_anew() -> None:
    source = from_aiter(three)
    assert await record(source) == [0, 1, 2, "completed"]
    assert await record(source) == [0, 1, 2, "completed"]


async def test_iterables_exception_fails_the_stream() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise KeyError("mine")

    first, error = await record(from_aiter(broken))
    assert (first, type(error)) == (1, KeyError)


async def test_retry_makes_a_new_iterable() -> None:
    attempts = 0

    async def second_time() -> AsyncIterator[int]:
        nonlocal attempts
        attempts += 1
        yield attempts
        if attempts == 1:
            raise KeyError("mine")

    assert await record(from_aiter(second_time).pipe(rx_ops.retry(2))) == [1, 2, "completed"]


async def test_take_closes_the_iterable() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            closed.set()

    assert await record(from_aiter(endless).pipe(rx_ops.take(1))) == [1, "completed"]
    await closed.wait()


async def test_clean_up_failure_is_reported(
    loop_errors: list[Exception],
) -> None:
    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise KeyError("mine")

    first = asyncio.Event()
    subscription = from_aiter(stubborn).subscribe(lambda _: first.set())
    await first.wait()
    await asyncio.sleep(0)
    subscription.dispose()
    await asyncio.sleep(0.01)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


def test_iterable_instead_of_factory_is_refused() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="lambda"):
        from_aiter(three())  # type: ignore[arg-type]  # what the test is about


async def test_factory_of_a_list_fails() -> None:
    (error,) = await record(from_aiter(lambda: [1]))  # type: ignore[arg-type, return-value]  # the test
    assert isinstance(error, rxagents.ConfigurationError)


async def test_consumer_error_after_dispose_is_reported(
    loop_errors: list[Exception],
) -> None:
    closed = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.set()
            await asyncio.sleep(0)  # the cancellation comes here

    def leave_and_raise(_: int) -> None:
        subscription.dispose()
        raise ValueError("the consumer's own")

    subscription = rxagents.from_aiter(numbers).subscribe(leave_and_raise)
    await closed.wait()
    for _ in range(3):
        await asyncio.sleep(0)
    assert str(loop_errors.pop()) == "the consumer's own"
