"""Play recorded streams again: times, ends, errors and files."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from mixtures import assert_contents_and_indexes, chunk_streams
from observing import Seen, in_thread, pending
from reactivex.testing import ReactiveTest, TestScheduler

import rxagents
from rxagents import (
    Answer,
    Complete,
    ErrorInfo,
    RateLimitError,
    Reset,
    StreamChunk,
    StreamDecodeError,
    StreamEvent,
    Token,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TruncatedStreamError,
    Usage,
)
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stream.jsonl"


def record(path: Path, *messages: Any, disposed: float = 5000) -> None:
    """Record a hot source, from time 200 to its end or to `disposed`."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    scheduler.start(lambda: source.pipe(ops.record(path)), disposed=disposed)


def play(
    path: Path, kind: Any = object, *, speed: float = 1.0, disposed: float = 100_000.5
) -> list[Any]:
    """Return what a subscriber gets that subscribes at time 200."""
    scheduler = TestScheduler()
    observer: Any = scheduler.start(
        lambda: rxagents.from_recording(path, kind, speed=speed), disposed=disposed
    )
    assert not pending(scheduler)
    messages: list[Any] = observer.messages
    return messages


MESSAGES = [on_next(210, "a"), on_next(230, "b"), on_next(230, "c"), on_completed(240)]


def test_items_and_end_keep_their_times(path: Path) -> None:
    record(path, *MESSAGES)
    assert play(path) == MESSAGES


def test_speed_divides_the_times(path: Path) -> None:
    record(path, *MESSAGES)
    assert play(path, speed=2) == [
        on_next(205, "a"),
        on_next(215, "b"),
        on_next(215, "c"),
        on_completed(220),
    ]
    assert play(path, speed=0.5)[-1] == on_completed(280)
    assert [message.time for message in play(path, speed=math.inf)] == [200] * 4


async def test_nothing_is_emitted_inside_subscribe(path: Path) -> None:
    record(path, on_next(200, "a"), on_completed(201))
    seen = Seen(rxagents.from_recording(path, str, speed=math.inf))
    assert seen.notes == []
    await seen.over.wait()


def test_recorded_error_keeps_type_and_fields(path: Path) -> None:
    failure = RateLimitError("slow down", provider="any", status=429, retryable=True)
    record(path, on_next(210, "a"), on_error(220, failure))
    item, end = play(path)
    assert item == on_next(210, "a")
    assert end.time == 220
    found = end.value.exception
    assert type(found) is RateLimitError
    assert (str(found), found.provider, found.status, found.retryable) == (
        str(failure),
        "any",
        429,
        True,
    )


def test_foreign_error_keeps_its_name(path: Path) -> None:
    record(path, on_error(220, OSError("cut")))
    (end,) = play(path)
    assert type(end.value.exception) is rxagents.RxAgentsError
    assert str(end.value.exception) == "OSError: cut"


def test_disposed_recording_is_truncated(path: Path) -> None:
    record(path, *MESSAGES, disposed=220)
    item, end = play(path)
    assert item == on_next(210, "a")
    assert end.time == 220
    assert isinstance(end.value.exception, TruncatedStreamError)
    assert f"{path} stops here: the recorded stream was disposed" in str(end.value.exception)


def test_recording_without_end_is_truncated(path: Path) -> None:
    path.write_text('{"at": 10, "item": "a"}\n')
    item, end = play(path)
    assert (item, end.time) == (on_next(210, "a"), 210)
    with pytest.raises(TruncatedStreamError, match=r"has no end: the program .* stopped before it"):
        raise end.value.exception


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nothing",
        '{"at": 0.5, "item": "half',
        '{"item": "without a time"}',
        '{"at": 1}',
        '{"at": "late", "item": "b"}',
        '{"at": 1, "item": 7}',
        "[" * 5000,
        "\udcff",
    ],
)
def test_error_names_the_unreadable_line(path: Path, line: str) -> None:
    text = '{"at": 1, "item": "a"}\n' + line + '\n{"at": 2, "completed": true}\n'
    path.write_bytes(text.encode(errors="surrogateescape"))
    item, end = play(path, str)
    assert item == on_next(201, "a")
    assert isinstance(end.value.exception, StreamDecodeError)
    assert "Line 2" in str(end.value.exception)


@pytest.mark.parametrize("depth", [300, 900, 100_000])
@pytest.mark.parametrize("kind", [object, StreamChunk])
def test_deeply_nested_line_is_refused(path: Path, kind: type[Any], depth: int) -> None:
    nested = "[" * depth + "]" * depth
    item = nested if kind is object else f'{{"delta": "", "metadata": {{"a": {nested}}}}}'
    path.write_text(f'{{"at": 0.0, "item": {item}}}\n{{"at": 0.0, "completed": true}}\n')
    with pytest.raises(StreamDecodeError, match="nested more than 256 levels"):
        rxagents.run(rxagents.from_recording(path, kind))


def test_reset_reason_is_restored_or_refused(path: Path) -> None:
    record(path, on_next(210, StreamChunk.reset(OSError("cut"))), on_completed(211))
    chunk, _ = play(path, StreamChunk)
    assert chunk.value.value.metadata["reset"] == ErrorInfo("OSError", "cut")
    path.write_text('{"at": 1, "item": {"metadata": {"reset": 7}}}\n')
    (end,) = play(path, StreamChunk)
    assert isinstance(end.value.exception, StreamDecodeError)


@given(disposed=st.integers(200, 250))
def test_dispose_closes_the_file(tmp_path_factory: pytest.TempPathFactory, disposed: int) -> None:
    path = tmp_path_factory.mktemp("recordings") / "stream.jsonl"
    record(path, *MESSAGES)
    seen = play(path, disposed=disposed + 0.5)
    assert seen == [message for message in MESSAGES if message.time <= disposed]
    gc.collect()  # a file left open gives a warning, which is an error here


def test_each_subscription_plays_from_start(path: Path) -> None:
    record(path, *MESSAGES)
    scheduler = TestScheduler()
    player = rxagents.from_recording(path, str)
    observers = [scheduler.create_observer() for _ in range(2)]
    for time, observer in zip((200, 215), observers, strict=True):
        scheduler.schedule_absolute(
            time, lambda *_, o=observer: player.subscribe(o, scheduler=scheduler)
        )
    scheduler.start()
    assert observers[0].messages == MESSAGES
    assert [message.time for message in observers[1].messages] == [225, 245, 245, 255]


async def test_slow_reader_moves_no_later_item(
    path: Path,
) -> None:
    record(path, *(on_next(201 + n, n) for n in range(100)), on_completed(400))
    async with rxagents.to_aiter(rxagents.from_recording(path, int), capacity=4) as reader:
        await asyncio.sleep(150)
        assert len(reader._queue) == 4
        assert [number async for number in reader] == list(range(100))
        assert asyncio.get_running_loop().time() == pytest.approx(200)


async def test_dispose_from_another_thread_stops_playing(
    path: Path,
) -> None:
    record(path, *MESSAGES)
    seen = Seen(rxagents.from_recording(path, str))
    await asyncio.sleep(15)
    in_thread(seen.subscription.dispose)
    seen.subscription.dispose()
    await asyncio.sleep(50)
    assert seen.notes == ["a"]
    assert len(seen.threads) == 1
    gc.collect()


async def test_dispose_in_on_next_stops_burst(path: Path) -> None:
    record(path, *MESSAGES)
    out: list[str] = []

    def take_one(item: str) -> None:
        out.append(item)
        subscription.dispose()

    player = rxagents.from_recording(path, str, speed=math.inf)
    subscription = player.subscribe(take_one)
    await asyncio.sleep(1)
    assert out == ["a"]


async def test_subscriber_error_is_reported_once(path: Path, loop_errors: list[Exception]) -> None:
    record(path, *MESSAGES)
    failure = LookupError("the screen is gone")
    notes: list[Any] = []

    def fail(item: str) -> None:
        notes.append(item)
        raise failure

    rxagents.from_recording(path, str).subscribe(fail, notes.append, lambda: notes.append("end"))
    await asyncio.sleep(100)
    assert loop_errors == [failure]
    assert notes == ["a"]
    gc.collect()
    loop_errors.clear()


def test_run_raises_callbacks_error(path: Path) -> None:
    record(path, *MESSAGES)

    def fail(_: str) -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        rxagents.run(rxagents.from_recording(path, str, speed=math.inf), fail)


@pytest.mark.parametrize("name", ["", "missing.jsonl", "nul\0.jsonl"])
def test_unreadable_file_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    (end,) = play(tmp_path / name)
    assert isinstance(end.value.exception, rxagents.ConfigurationError)
    assert "cannot be read" in str(end.value.exception)


def test_later_disk_failure_is_typed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __iter__(self) -> Any:
            yield b'{"at": 1, "item": "a"}\n'
            raise OSError("the disk is gone")

        def close(self) -> None:
            """Do nothing."""

    monkeypatch.setattr(Path, "open", lambda *_, **__: Failing())
    item, end = play(path)
    assert item == on_next(201, "a")
    assert isinstance(end.value.exception, rxagents.ConfigurationError)


@pytest.mark.parametrize("speed", [0, -1, True, "1", None, math.nan])
def test_speed_must_be_above_zero(path: Path, speed: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="speed"):
        rxagents.from_recording(path, str, speed=speed)


@pytest.mark.parametrize("wrong", [None, 7, True, b"file"])
def test_path_must_be_a_path(wrong: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="path"):
        rxagents.from_recording(wrong, str)


@pytest.mark.parametrize("wrong", [StreamChunk | Usage, "chunk of a kind", "Missing", 7])
def test_unsupported_type_is_refused_at_once(path: Path, wrong: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError):
        rxagents.from_recording(path, wrong)


def test_error_without_loop_names_run(path: Path) -> None:
    record(path, *MESSAGES)
    errors: list[Exception] = []
    rxagents.from_recording(path, str).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]


def test_played_chunks_can_be_coalesced(path: Path) -> None:
    metadata = {"model": "any"}
    chunks = [StreamChunk(text, n, metadata=metadata) for n, text in enumerate("abc")]
    record(path, *(on_next(210, chunk) for chunk in chunks), on_completed(211))
    joined: list[StreamChunk] = []
    player = rxagents.from_recording(path, StreamChunk, speed=math.inf)
    rxagents.run(player.pipe(ops.coalesce()), joined.append)
    assert [chunk.content for chunk in joined] == ["abc"]


class Recordings:
    """Strategies for random items and ends of a stream."""

    events = st.one_of(
        st.builds(Token, st.text(max_size=5), st.text(max_size=3), st.floats(0, 1e10)),
        st.builds(ToolStart, st.just("1"), st.just("add"), st.just({"a": [1, None]})),
        st.builds(ToolProgress, st.just("1"), st.just("add"), st.text(max_size=5)),
        st.just(ToolEnd("1", "add", "3", ErrorInfo("ToolError", "no"), 0.5)),
        st.just(Reset.of(OSError("again"))),
        st.builds(Answer, st.text(max_size=5)),
        st.just(Complete("a", Usage(1, 2, 3, raw={"x": 1}), 2, "stop")),
    )
    ends = st.one_of(
        st.none(),
        st.just("end"),
        st.builds(rxagents.MaxIterationsError, st.text(min_size=1, max_size=5)),
        st.builds(lambda text: RateLimitError(text, status=429), st.text(min_size=1, max_size=5)),
    )


@given(
    items=st.lists(Recordings.events, max_size=8) | chunk_streams,
    gaps=st.lists(st.integers(0, 50), min_size=40, max_size=40),
    end=Recordings.ends,
    speed=st.sampled_from([1, 2, 0.5, 10]),
)
def test_random_recordings_play_as_recorded(
    tmp_path_factory: pytest.TempPathFactory,
    items: list[Any],
    gaps: list[int],
    end: Any,
    speed: float,
) -> None:
    path = tmp_path_factory.mktemp("recordings") / "stream.jsonl"
    time = 201
    messages: list[Any] = []
    for item, gap in zip(items, gaps, strict=False):
        time += gap
        messages.append(on_next(time, item))
    if end is not None:
        messages.append(on_completed(time) if end == "end" else on_error(time, end))
    record(path, *messages)

    *seen, last = play(path, _type(items), speed=speed)
    messages = [message for message in messages if message.value.kind == "N"]
    assert [message.value.value for message in seen] == [m.value.value for m in messages]
    for played, recorded in zip(seen, messages, strict=True):
        assert played.time == pytest.approx(200 + (recorded.time - 200) / speed, abs=1e-4)
    contents = [m.value.value.content for m in messages]
    assert [message.value.value.content for message in seen] == contents
    if isinstance(end, Exception):
        assert type(last.value.exception) is type(end)
        assert str(last.value.exception) == str(end)
    elif end is None:
        assert isinstance(last.value.exception, TruncatedStreamError)
    else:
        assert last.value.kind == "C"
    assert_contents_and_indexes([message.value.value for message in seen])


def _type(items: list[Any]) -> Any:
    return StreamChunk if items and isinstance(items[0], StreamChunk) else StreamEvent


def test_ten_thousand_lines_do_not_recurse(path: Path) -> None:
    rxagents.run(rx.from_iterable(range(10_000)).pipe(ops.record(path)))
    out: list[int] = []
    rxagents.run(rxagents.from_recording(path, int, speed=math.inf), out.append)
    assert out == list(range(10_000))


async def letters() -> AsyncIterator[str]:
    yield "a"
    await asyncio.sleep(1)
    yield "b"


async def test_loop_time_is_recorded_and_played(path: Path) -> None:
    await Seen(rxagents.from_aiter(letters).pipe(ops.record(path))).over.wait()
    start = asyncio.get_running_loop().time()
    seen = Seen(rxagents.from_recording(path, str, speed=2))
    await seen.over.wait()
    assert seen.notes == ["a", "b", "end"]
    assert asyncio.get_running_loop().time() - start == pytest.approx(0.5)
