"""Test `log`."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import pytest
import reactivex as rx
from marbles import play
from observing import letters
from reactivex import Observable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

import rxagents
from rxagents import ConfigurationError, StreamChunk
from rxagents import operators as ops

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "rxagents.stream")
    return caplog


def lines(logged: pytest.LogCaptureFixture) -> list[str]:
    """Return the records without the numbers of their subscriptions."""
    return [re.sub(r"#\d+", "#", message) for message in logged.messages]


def failing() -> Observable[Any]:
    return rx.concat(rx.of("a"), rx.throw(KeyError("the\nkey")))


def test_items_and_end_are_logged_with_their_time(logged: pytest.LogCaptureFixture) -> None:
    seen = play(ops.log("x"), on_next(300, "a"), on_completed(450))
    assert [message.value.kind for message in seen] == ["N", "C"]
    assert lines(logged) == [
        "x # 0.000 s subscribe",
        "x # 100.000 s next str(1) a",
        "x # 250.000 s completed",
    ]


def test_error_is_logged_on_one_line(logged: pytest.LogCaptureFixture) -> None:
    failing().pipe(ops.log("x")).subscribe(on_error=lambda _: None)
    assert lines(logged)[-1].endswith(r" s error KeyError: 'the\nkey'")


def test_dispose_is_logged_unless_ended(logged: pytest.LogCaptureFixture) -> None:
    silent: Observable[Any] = rx.never()
    subscription = silent.pipe(ops.log("x")).subscribe()
    subscription.dispose()
    subscription.dispose()
    rx.of(1).pipe(ops.log("x")).subscribe().dispose()
    ends = [line.split(" s ")[1] for line in lines(logged)]
    assert ends == ["subscribe", "dispose", "subscribe", "next int 1", "completed"]


def test_subscriptions_have_numbers_of_their_own(logged: pytest.LogCaptureFixture) -> None:
    stream = rx.of(1).pipe(ops.log("x"))
    stream.subscribe()
    stream.subscribe()
    numbers = {message.split()[1] for message in logged.messages}
    assert len(numbers) == 2


def test_long_items_are_cut_to_one_line(logged: pytest.LogCaptureFixture) -> None:
    rx.of("a\n" * 1000, StreamChunk("Hel")).pipe(ops.log("x")).subscribe()
    (_, text, chunk, _) = lines(logged)
    assert len(text) < 120
    assert "\n" not in text
    assert "str(2000) a a a" in text
    assert chunk.endswith("next StreamChunk(3) Hel")


def test_name_is_logged_on_one_line(logged: pytest.LogCaptureFixture) -> None:
    rx.of(1).pipe(ops.log("a\n\x1b[31mb")).subscribe()
    assert [line.split(" #")[0] for line in lines(logged)] == ["a [31mb"] * 3


async def test_stream_of_the_loop_is_logged(logged: pytest.LogCaptureFixture) -> None:
    async with rxagents.to_aiter(rxagents.from_aiter(letters).pipe(ops.log("x"))) as items:
        assert [item async for item in items] == ["a", "b"]
    assert [line.split(" s ")[1] for line in lines(logged)] == [
        "subscribe", "next str(1) a", "next str(1) b", "completed",
    ]  # fmt: skip


def test_nothing_is_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    rx.of(1).pipe(ops.log("x")).subscribe()
    assert caplog.messages == []


def test_silent_log_adds_no_call_to_an_item() -> None:
    def depth(*operators: Any) -> int:
        source: Subject[int] = Subject()
        depths: list[int] = []

        def on_item(_: object) -> None:
            frame, count = sys._getframe(), 0
            while frame.f_back is not None:
                frame, count = frame.f_back, count + 1
            depths.append(count)

        source.pipe(*operators).subscribe(on_item)
        source.on_next(1)
        return depths[0]

    assert depth(ops.log("x"), ops.log("y")) == depth()


@pytest.mark.parametrize("name", ["", None, 5])
def test_wrong_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name must be a text"):
        ops.log(name)
