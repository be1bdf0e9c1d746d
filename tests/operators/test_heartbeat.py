"""Test `heartbeat`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from marbles import play
from observing import FAILURE, Numbers, fail
from reactivex.testing import ReactiveTest

from rxagents import ConfigurationError, from_aiter, to_aiter
from rxagents import operators as ops

on_next: Any = ReactiveTest.on_next
on_error, on_completed = ReactiveTest.on_error, ReactiveTest.on_completed


def test_silence_gets_heartbeats() -> None:
    source = [on_next(207, "a"), on_next(245, "b"), on_completed(260)]
    assert play(ops.heartbeat(10, lambda: "h"), *source) == [
        on_next(207, "a"),
        *(on_next(time, "h") for time in (217, 227, 237)),
        on_next(245, "b"),
        on_next(255, "h"),
        on_completed(260),
    ]


def test_silence_before_the_first_item_counts() -> None:
    seen = play(ops.heartbeat(10, lambda: "h"), on_next(225, "a"), on_completed(230))
    assert [note.time for note in seen] == [210, 220, 225, 230]


def test_steady_source_gets_no_heartbeat() -> None:
    source = [*(on_next(205 + 5 * count, count) for count in range(20)), on_completed(304)]
    assert play(ops.heartbeat(10, lambda: "h"), *source) == source


def test_failing_make_fails_the_stream() -> None:
    def make() -> str:
        raise FAILURE

    assert play(ops.heartbeat(10, make), on_next(205, "a"), on_completed(300)) == [
        on_next(205, "a"),
        on_error(215, FAILURE),
    ]


async def test_no_heartbeat_while_the_reader_has_enough() -> None:
    source = from_aiter(Numbers()).pipe(ops.heartbeat(1, lambda: "h"))
    async with to_aiter(source, capacity=2) as items:
        await asyncio.sleep(100)
        seen = [await anext(items) for _ in range(10)]
    assert seen == list(range(10))


async def test_raising_subscriber_ends_the_heartbeats(loop_errors: list[Exception]) -> None:
    from_aiter(_silence).pipe(ops.heartbeat(1, lambda: "h")).subscribe(fail)
    await asyncio.sleep(10)
    assert loop_errors == [FAILURE]
    loop_errors.clear()


async def _silence() -> Any:
    await asyncio.Event().wait()
    yield 0


@pytest.mark.parametrize("arguments", [(0, str), ("1", str), (1, "h")])
def test_bad_arguments_raise(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        ops.heartbeat(*arguments)
