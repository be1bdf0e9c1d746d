"""Test `record`."""

from __future__ import annotations

import asyncio
import gc
import io
import json
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from full_disk import FULL_DISK, needs_full_disk
from hypothesis import given
from hypothesis import strategies as st
from marbles import play, play_twice
from observing import FAILURE, Numbers, Seen, fail, in_thread, letters
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

import rxagents
from rxagents import RateLimitError, StreamChunk, Token, Usage
from rxagents import operators as ops
from rxagents.operators.record import _Recorder

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stream.jsonl"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_file_has_items_and_times(path: Path) -> None:
    messages = [on_next(210, "a"), on_next(230, {"b": 1}), on_completed(240)]
    assert play(ops.record(path), *messages) == messages
    assert lines(path) == [
        {"at": 10, "item": "a"},
        {"at": 30, "item": {"b": 1}},
        {"at": 40, "completed": True},
    ]


def test_default_fields_are_not_written(path: Path) -> None:
    items = [StreamChunk("a", usage=Usage(1, 2)), Token("b", timestamp=1.5)]
    play(ops.record(str(path)), *(on_next(210, item) for item in items), on_completed(210))
    first, second, _ = lines(path)
    assert first["item"]["delta"] == "a"
    assert first["item"]["usage"]["output_tokens"] == 2
    token = {"type": "token", "content": "b", "section": "", "timestamp": 1.5, "path": []}
    assert second["item"] == token


def test_error_is_written_and_passes(path: Path) -> None:
    failure = RateLimitError("slow down", provider="any", status=429, retryable=True)
    messages = [on_next(210, "a"), on_error(220, failure)]
    assert play(ops.record(path), *messages) == messages
    assert lines(path)[-1]["error"] == {
        "kind": "RateLimitError",
        "message": str(failure),
        "provider": "any",
        "status": 429,
        "request_id": None,
        "retryable": True,
    }


def test_empty_and_endless_sources(path: Path) -> None:
    assert play(ops.record(path), on_completed(210)) == [on_completed(210)]
    assert lines(path) == [{"at": 10, "completed": True}]
    assert play(ops.record(path)) == []
    assert lines(path) == [{"at": 800.5, "stopped": "disposed"}]


@given(disposed=st.integers(200, 240))
def test_dispose_closes_a_valid_file(
    tmp_path_factory: pytest.TempPathFactory, disposed: int
) -> None:
    path = tmp_path_factory.mktemp("recordings") / "stream.jsonl"
    messages = [on_next(210, "a"), on_next(220, "b"), on_completed(230)]
    seen = play(ops.record(path), *messages, disposed=disposed + 0.5)
    assert seen == [message for message in messages if message.time <= disposed]
    *items, end = lines(path)
    if disposed < 230:
        assert end == {"at": disposed + 0.5 - 200, "stopped": "disposed"}
        assert len(items) == len(seen)
    else:
        assert end == {"at": 30, "completed": True}
    gc.collect()  # a file left open gives a warning, which is an error here


def test_each_subscription_overwrites_the_file(path: Path) -> None:
    operator = ops.record(path)
    play(operator, on_next(210, "a"), on_next(220, "b"), on_completed(230))
    play(operator, on_next(210, "c"), on_completed(220))
    assert [line.get("item") for line in lines(path)] == ["c", None]


def test_subscriptions_share_nothing(path: Path) -> None:
    first, second = play_twice(ops.record(path), 200, 300, on_next(10, "a"), on_completed(20))
    assert first == [on_next(210, "a"), on_completed(220)]
    assert second == [on_next(310, "a"), on_completed(320)]
    assert lines(path)[0] == {"at": 10, "item": "a"}


class Unwritable:
    """An item that msgspec cannot encode."""


@pytest.mark.parametrize("item", [Unwritable(), "\ud800", {1: {2: Unwritable()}}])
async def test_unwritable_item_ends_only_recording(
    path: Path, item: Any, loop_errors: list[Exception]
) -> None:
    seen = Seen(rx.of("a", item, "b", item).pipe(ops.record(path)))
    assert seen.notes == ["a", item, "b", item, "end"]
    assert len(loop_errors) == 1
    assert lines(path) == [{"at": 0, "item": "a"}]
    loop_errors.clear()


@needs_full_disk
async def test_full_disk_is_reported_once(loop_errors: list[Exception]) -> None:
    items = ["x" * 50_000] * 4
    seen = Seen(rx.from_iterable(items).pipe(ops.record(FULL_DISK)))
    assert seen.notes == [*items, "end"]
    (error,) = loop_errors
    assert isinstance(error, OSError)
    gc.collect()
    loop_errors.clear()


@needs_full_disk
async def test_full_disk_at_close_reported_once(loop_errors: list[Exception]) -> None:
    seen = Seen(rx.of("a").pipe(ops.record(FULL_DISK)))
    assert seen.notes == ["a", "end"]
    assert [type(error) for error in loop_errors] == [OSError]
    gc.collect()
    loop_errors.clear()


@pytest.mark.parametrize("name", ["", "missing/stream.jsonl", "nul\0.jsonl"])
async def test_unopenable_file_fails_without_subscribing(tmp_path: Path, name: str) -> None:
    subject: Subject[str] = Subject()
    seen = Seen(subject.pipe(ops.record(tmp_path / name)))
    (error,) = seen.notes
    assert isinstance(error, rxagents.ConfigurationError)
    assert "record cannot open its file" in str(error)
    assert not subject.observers


@pytest.mark.parametrize("wrong", [None, 7, True, b"file", ["file"]])
def test_non_path_is_refused(wrong: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="path"):
        ops.record(wrong)


async def test_plain_subscriber_disposes_from_other_thread(path: Path) -> None:
    subject: Subject[str] = Subject()
    seen = Seen(subject.pipe(ops.record(path)))
    await asyncio.sleep(2)
    subject.on_next("a")
    in_thread(seen.subscription.dispose)
    seen.subscription.dispose()
    subject.on_next("b")
    assert seen.notes == ["a"]
    assert lines(path) == [
        {"at": pytest.approx(2), "item": "a"},
        {"at": pytest.approx(2), "stopped": "disposed"},
    ]


async def test_file_closed_while_writing_reports_nothing() -> None:
    class ClosingFile(io.BytesIO):
        """Is closed by another thread during `write`."""

        def write(self, _: object) -> int:
            in_thread(recorder.close)
            raise ValueError("write to closed file")

    recorder = _Recorder[int](ClosingFile(), asyncio.get_running_loop().time)
    recorder.item(1)
    recorder.item(2)


async def test_reentrant_source_is_recorded_in_order(path: Path) -> None:
    subject: Subject[int] = Subject()

    def echo(item: int) -> None:
        if item < 3:
            subject.on_next(item + 1)
        else:
            subject.on_completed()

    subject.pipe(ops.record(path)).subscribe(echo)
    subject.on_next(1)
    assert [line.get("item") for line in lines(path)] == [1, 2, 3, None]


async def test_raising_subscriber_closes_the_file(path: Path, loop_errors: list[Exception]) -> None:
    rxagents.from_aiter(letters).pipe(ops.record(path)).subscribe(fail)
    await asyncio.sleep(1)
    assert [line.get("item", line.get("stopped")) for line in lines(path)] == ["a", "disposed"]
    assert loop_errors == [FAILURE]
    loop_errors.clear()


def test_run_raises_and_closes_the_file(path: Path) -> None:
    with pytest.raises(LookupError):
        rxagents.run(rxagents.from_aiter(letters).pipe(ops.record(path)), fail)
    gc.collect()  # a file left open gives a warning, which is an error here


async def test_full_reader_stops_source(path: Path) -> None:
    numbers = Numbers()
    stream = rxagents.from_aiter(numbers).pipe(ops.record(path))
    async with rxagents.to_aiter(stream, capacity=4) as reader:
        await asyncio.sleep(100)
        assert numbers.made == 4
        assert await anext(reader) == 0


def test_error_without_loop_makes_no_file(path: Path) -> None:
    errors: list[Exception] = []
    rx.of("a").pipe(ops.record(path)).subscribe(on_error=errors.append)
    assert not path.exists()
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]
