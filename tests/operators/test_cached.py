"""Test `cached`: what is kept, what is played, and who shares an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, Seen, settle
from reactivex import operators as rx_ops
from reactivex.subject import Subject

import rxagents
from rxagents import (
    ConfigurationError,
    EventLog,
    MemoryLogStore,
    OpenAI,
    Response,
    Retention,
    SQLiteLogStore,
    StorageError,
    StreamChunk,
    from_aiter,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> EventLog:
    store = SQLiteLogStore(tmp_path / "log.db") if request.param == "sqlite" else None
    return EventLog(store)


async def answer(stream: Any) -> Response:
    last: Response = await stream.pipe(ops.collect())
    return last


@pytest.mark.real_time
async def test_second_request_is_played_from_the_log(log: EventLog) -> None:
    async with log, ScriptedServer(Reply("Paris is the capital.")) as server:
        async with OpenAI("m", base_url=server.url) as llm:
            seen = []
            for _ in range(2):
                chunks: list[StreamChunk] = []
                stream = llm.chat_stream("Capital?").pipe(ops.cached(log))
                await stream.pipe(ops.tap_safely(chunks.append))
                seen.append(chunks)
    first, second = seen
    assert len(server.requests) == 1
    assert [chunk.delta for chunk in first] == [chunk.delta for chunk in second]
    assert first[-1].content == second[-1].content == "Paris is the capital."
    assert (first[-1].metadata.get("cached"), second[-1].metadata["cached"]) == (None, True)
    assert first[-1].usage == second[-1].usage


@pytest.mark.parametrize(
    "other",
    [{"messages": "Capital!"}, {"temperature": 0.5}, {"tools": [rxagents.tools.calculator]}],
)
async def test_other_request_has_another_key(other: Any) -> None:
    log = EventLog()
    async with ScriptedServer("Paris.") as server, OpenAI("m", base_url=server.url) as llm:
        for arguments in ({}, other, {"headers": {"x-user": "1"}, "timeout": 5}):
            await answer(
                llm.chat_stream(**{"messages": "Capital?", **arguments}).pipe(ops.cached(log))
            )
    assert len(server.requests) == 2


async def test_concurrent_subscribers_share_one_request() -> None:
    log, llm = EventLog(), ScriptedLLM(Reply("one two three four", interval=1))
    stream = llm.chat_stream("Count.").pipe(ops.cached(log), ops.text())
    first = Seen(stream)
    await asyncio.sleep(2.5)
    late = Seen(stream)
    await settle()
    assert late.items == first.items != []
    await late.over.wait()
    assert "".join(late.items) == "one two three four"
    assert (first.notes, len(llm.requests)) == (late.notes, 1)
    after = Seen(stream)
    await settle()
    assert after.notes == first.notes


@pytest.mark.parametrize("speed", [1, 2])
async def test_answer_is_played_with_its_timing(speed: float) -> None:
    log, loop = EventLog(), asyncio.get_running_loop()
    stream = ScriptedLLM(Reply("one two three", interval=4)).chat_stream("Count.")
    timings = []
    for _ in range(2):
        start, times = loop.time(), list[float]()
        await stream.pipe(
            ops.cached(log, speed=speed),
            ops.tap_safely(lambda _: times.append(loop.time())),  # noqa: B023 - used at once
        )
        timings.append([time - start for time in times])
    made, played = timings
    assert played == pytest.approx([time / speed for time in made], abs=0.1)
    assert made[-1] > 8


async def test_failed_answer_is_not_kept() -> None:
    log = EventLog()
    llm = ScriptedLLM(Reply("Par", error=rxagents.ServerError("broken")), "Paris.")
    stream = llm.chat_stream("Capital?").pipe(ops.cached(log))
    first, joined = Seen(stream), Seen(stream)
    await settle()
    assert isinstance(first.error, rxagents.ServerError)
    assert joined.notes == first.notes
    assert (await answer(stream)).content == "Paris."
    assert (await answer(stream)).content == "Paris."
    assert len(llm.requests) == 2


async def test_disposed_answer_is_not_kept() -> None:
    log, numbers = EventLog(), Numbers(5)
    stream = from_aiter(numbers).pipe(ops.cached(log, "numbers", type=int))
    first = Seen(stream, lambda _: first.subscription.dispose())
    await numbers.over.wait()
    again = Seen(stream)
    await again.over.wait()
    assert (again.items, numbers.started) == (list(range(5)), 2)


async def test_one_of_two_may_leave_the_answer() -> None:
    log, numbers = EventLog(), Numbers(50)
    stream = from_aiter(numbers).pipe(ops.cached(log, "numbers", type=int))
    first = Seen(stream, lambda _: first.subscription.dispose())
    second = Seen(stream)
    await second.over.wait()
    assert (second.items, numbers.started) == (list(range(50)), 1)


async def test_too_long_answer_is_not_kept() -> None:
    log, numbers = EventLog(), Numbers(50)
    stream = from_aiter(numbers).pipe(ops.cached(log, "numbers", type=int, max_items=20))
    for _ in range(2):
        seen = Seen(stream)
        await seen.over.wait()
        assert seen.items == list(range(50))
    assert numbers.started == 2


async def test_retention_bounds_the_cache() -> None:
    time = [0.0]
    store = MemoryLogStore(Retention(age=60, runs=2), clock=lambda: time[0])
    log, numbers = EventLog(store), Numbers(3)

    async def ask(key: str) -> int:
        await from_aiter(numbers).pipe(ops.cached(log, key, type=int))
        return numbers.started

    assert [await ask("a"), await ask("a")] == [1, 1]
    time[0] = 61
    assert [await ask("a"), await ask("a")] == [2, 2]
    assert [await ask("b"), await ask("c"), await ask("a")] == [3, 4, 5]


async def test_answer_whose_beginning_was_dropped_is_a_miss() -> None:
    log, numbers = EventLog(MemoryLogStore(Retention(entries=4))), Numbers(10)
    for _ in range(2):
        seen = Seen(from_aiter(numbers).pipe(ops.cached(log, "numbers", type=int)))
        await seen.over.wait()
        assert seen.items == list(range(10))
    assert numbers.started == 2


async def test_void_attempt_is_not_kept() -> None:
    log, chunks = EventLog(), Subject[StreamChunk]()
    first = Seen(chunks.pipe(ops.cached(log, "answer"), rx_ops.map(_delta)))
    reset = StreamChunk.reset(rxagents.ServerError("broken"))
    for chunk in (StreamChunk("Pa"), reset, StreamChunk("Paris")):
        chunks.on_next(chunk)
    chunks.on_completed()
    await first.over.wait()
    again = Seen(rx.never().pipe(ops.cached(log, "answer"), rx_ops.map(_delta)))
    await settle()
    assert again.notes == ["Paris", "end"]


class BrokenStore(MemoryLogStore):
    """Fails at each call."""

    def read(self, *_: Any) -> Any:
        raise StorageError("no disk")

    def begin(self, *_: Any) -> Any:
        raise StorageError("no disk")


async def test_broken_log_does_not_break_the_answer(loop_errors: list[Exception]) -> None:
    stream = ScriptedLLM("Paris.").chat_stream("Capital?").pipe(ops.cached(EventLog(BrokenStore())))
    assert (await answer(stream)).content == "Paris."
    assert [str(error) for error in loop_errors] == ["no disk", "no disk"]
    loop_errors.clear()


async def test_slow_reader_slows_the_source() -> None:
    numbers = Numbers(1000)
    stream = from_aiter(numbers).pipe(ops.cached(EventLog(), "numbers", type=int))
    async with to_aiter(stream, capacity=4) as items:
        await asyncio.sleep(1)
        assert numbers.made <= 8
        assert [item async for item in items] == list(range(1000))


def test_stream_without_a_request_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="directly after a model's chat_stream"):
        rx.of(1).pipe(ops.cached(EventLog()))
    with pytest.raises(ConfigurationError, match="pass the key"):
        ScriptedLLM("x").chat_stream("hi").pipe(ops.text(), ops.cached(EventLog()))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [(["log"], {}), ([EventLog(), ""], {}), ([EventLog(), "a"], {"speed": 0}),
     ([EventLog(), "a"], {"max_items": 0}), ([EventLog(), "a"], {"type": 5})],
)  # fmt: skip
def test_bad_arguments_raise(arguments: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        ops.cached(*arguments, **options)


def _delta(chunk: StreamChunk) -> str:
    return chunk.delta
