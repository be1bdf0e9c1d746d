"""Test many runs as one stream, on this loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable

import rxagents
from rxagents import (
    Complete,
    ConfigurationError,
    ErrorEvent,
    EventLog,
    FunctionAgent,
    LimitedRequest,
    RunReport,
    StreamEvent,
    Token,
    run_many,
    to_aiter,
)
from rxagents.testing import Reply, ScriptedLLM

LIVE: list[str] = []


def make_agent() -> FunctionAgent[str]:
    return FunctionAgent(ScriptedLLM("It is warm."))


def make_slow() -> Any:
    """Return a function whose streams take a second, and note in `LIVE` that they run."""

    async def events(value: str) -> AsyncIterator[StreamEvent]:
        LIVE.append(value)
        try:
            yield Token("a")
            await asyncio.sleep(1)
            yield Token("b")
        finally:
            LIVE.remove(value)

    return lambda value: rxagents.from_aiter(lambda: events(value))


def make_mixed() -> Any:
    def stream(value: str) -> Observable[StreamEvent]:
        if value == "raises":
            raise KeyError("no such thing")
        if value == "fails":
            return rx.throw(rxagents.RateLimitError("slow down", provider="x", status=429))
        if value == "not a stream":
            return value  # type: ignore[return-value]  # the fault under test
        return FunctionAgent(ScriptedLLM("fine")).run_stream(value)

    return stream


@pytest.fixture(autouse=True)
def nothing_lives() -> Iterator[None]:
    yield
    assert LIVE == []


async def collected(stream: Observable[tuple[str, StreamEvent]]) -> dict[str, list[StreamEvent]]:
    found: dict[str, list[StreamEvent]] = {}
    async with to_aiter(stream) as items:
        async for key, event in items:
            found.setdefault(key, []).append(event)
    return found


def shapes(events: list[StreamEvent]) -> list[tuple[str, str]]:
    return [(event.type, event.content) for event in events]


async def test_each_key_gets_events_of_its_run() -> None:
    alone: list[StreamEvent] = []
    async with to_aiter(make_agent().run_stream("Oslo")) as events:
        alone = [event async for event in events]
    found = await collected(run_many(make_agent, ["Oslo", "Rome", "Lima"], concurrency=2))
    assert list(found) == ["0", "1", "2"]
    assert all(shapes(events) == shapes(alone) for events in found.values())


async def test_inputs_are_read_when_there_is_room() -> None:
    read = []

    def endless() -> Iterator[tuple[str, str]]:
        for number in itertools.count():
            read.append(number)
            yield f"key-{number}", str(number)

    async with to_aiter(run_many(make_slow, endless(), concurrency=3)) as items:
        async for key, event in items:
            assert len(LIVE) <= 3
            if (key, event.type) == ("key-4", "complete"):
                break
    assert len(read) <= 9


async def test_ended_runs_are_forgotten() -> None:
    class Input:
        pass

    made: list[weakref.ref[Input]] = []

    def inputs() -> Iterator[Input]:
        for _ in range(100):
            value = Input()
            made.append(weakref.ref(value))
            yield value

    def make() -> Any:
        return lambda value: rx.of(Token(str(value)))

    async with to_aiter(run_many(make, inputs(), concurrency=2), capacity=2) as items:
        async for _ in items:
            gc.collect()
            assert sum(each() is not None for each in made) <= 5
    assert len(made) == 100


async def test_asynchronous_inputs_are_closed() -> None:
    closed = []

    async def inputs() -> AsyncIterator[str]:
        try:
            for number in itertools.count():
                await asyncio.sleep(0.1)
                yield str(number)
        finally:
            closed.append(True)

    async with to_aiter(run_many(make_slow, inputs(), concurrency=2)) as items:
        assert [key async for key, _ in _first(items, 3)] == ["0", "1", "0"]
    assert closed == [True]


async def _first(items: AsyncIterator[Any], count: int) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anext(items)


async def test_failed_input_is_error_of_one_key() -> None:
    inputs = ["good", "raises", "fails", "not a stream", "good too"]
    reports: dict[str, RunReport] = {}
    stream = run_many(
        make_mixed,
        zip(inputs, inputs, strict=True),
        concurrency=2,
        report=lambda report: reports.__setitem__(report.key, report),
    )
    found = await collected(stream)
    assert [type(found[key][-1]) for key in inputs] == [
        Complete, ErrorEvent, ErrorEvent, ErrorEvent, Complete,
    ]  # fmt: skip
    kinds = [error.kind if (error := found[key][-1].error) else "" for key in inputs]
    assert kinds == ["", "KeyError", "RateLimitError", "ConfigurationError", ""]
    failed = reports["fails"].error
    assert failed is not None
    assert isinstance(failed.exception(), rxagents.RateLimitError)
    assert reports["good"].output == "fine"


async def test_report_has_usage_and_cost() -> None:
    usage = rxagents.Usage(7, 2)

    def make() -> FunctionAgent[str]:
        return FunctionAgent(ScriptedLLM(Reply("Hi", usage=usage)))

    reports: list[RunReport] = []
    await collected(run_many(make, {"a": "Hello"}, concurrency=1, report=reports.append))
    [report] = reports
    assert (report.key, report.output, report.attempts) == ("a", "Hi", 1)
    assert report.usage is not None
    assert (report.usage.input_tokens, report.cost.requests) == (7, 1)


async def test_finished_keys_of_log_are_skipped() -> None:
    log = EventLog()
    inputs = [("a", "good"), ("b", "fails"), ("c", "good")]
    first = await collected(run_many(make_mixed, inputs[:2], concurrency=2, log=log))
    again = await collected(run_many(make_mixed, inputs, concurrency=2, log=log))
    retried = await collected(
        run_many(make_mixed, inputs, concurrency=2, log=log, retry_failed=True)
    )
    assert (sorted(first), list(again), list(retried)) == (["a", "b"], ["c"], ["b"])
    assert shapes(first["a"]) == [
        (entry.item.type, entry.item.content)
        async for entry in _entries(log, "a")
    ]  # fmt: skip


async def _entries(log: EventLog, key: str) -> AsyncIterator[Any]:
    async with to_aiter(rxagents.from_log(log, key)) as entries:
        async for entry in entries:
            yield entry


async def test_run_stopped_in_log_starts_again() -> None:
    log = EventLog()
    async with to_aiter(run_many(make_slow, {"a": "a"}, concurrency=1, log=log)) as items:
        await anext(items)
    again = await collected(run_many(make_slow, {"a": "a"}, concurrency=1, log=log))
    assert shapes(again["a"]) == [("token", "a"), ("token", "b"), ("complete", "")]


async def test_slow_reader_holds_up_runs_and_inputs() -> None:
    read = []

    def inputs() -> Iterator[str]:
        for number in range(100):
            read.append(number)
            yield f"question {number}"

    async with to_aiter(run_many(make_agent, inputs(), concurrency=4), capacity=8) as items:
        await anext(items)
        await asyncio.sleep(5)
        assert len(read) <= 8
        rest = [item async for item in items]
    assert len(read) == 100
    assert sum(event.type == "complete" for _, event in rest) == 100


async def test_slow_reader_stops_sources_on_loop() -> None:
    emitted = []

    def make() -> Any:
        async def events() -> AsyncIterator[StreamEvent]:
            for number in range(10_000):
                emitted.append(number)
                yield Token(str(number))

        return lambda _: rxagents.from_aiter(events)

    async with to_aiter(run_many(make, ["a", "b"], concurrency=2), capacity=8) as items:
        await anext(items)
        await asyncio.sleep(5)
        assert len(emitted) <= 8 + 2 * 2


async def test_endless_inputs_that_fail_leave_time_for_others() -> None:
    read = []

    def inputs() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield "raises"

    def make() -> Any:
        raise OSError("no model")

    async with to_aiter(run_many(make, inputs(), concurrency=1), capacity=8) as items:
        await anext(items)
        await asyncio.sleep(5)
        assert len(read) <= 16
    seen: list[object] = []
    subscription = run_many(make, inputs(), concurrency=1).subscribe(seen.append)
    for _ in range(5):
        await asyncio.sleep(0)
    subscription.dispose()
    await asyncio.sleep(1)
    assert seen


async def test_dispose_ends_all_runs() -> None:
    seen: list[tuple[str, StreamEvent]] = []
    subscription = run_many(make_slow, ["a", "b"], concurrency=2).subscribe(seen.append)
    await asyncio.sleep(0.5)
    assert len(LIVE) == 2
    subscription.dispose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert LIVE == []
    await asyncio.sleep(5)
    assert len(seen) == 2


async def test_exception_of_subscriber_ends_all_runs(loop_errors: list[Exception]) -> None:
    def on_next(_: object) -> None:
        raise ValueError("mine")

    ends: list[object] = []
    run_many(make_slow, ["a", "b"], concurrency=2).subscribe(
        on_next, ends.append, lambda: ends.append("completed")
    )
    await asyncio.sleep(5)
    assert [str(error) for error in loop_errors] == ["mine"]
    loop_errors.clear()
    assert ends == []


async def test_two_runs_with_one_key_fail_stream() -> None:
    with pytest.raises(ConfigurationError, match="Two inputs have the key 'a'"):
        await collected(run_many(make_slow, [("a", "1"), ("a", "2")], concurrency=2))


async def test_error_of_inputs_fails_stream() -> None:
    def inputs() -> Iterator[str]:
        yield "a"
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        await collected(run_many(make_slow, inputs(), concurrency=2))


async def test_cancelled_inputs_fail_stream() -> None:
    async def inputs() -> AsyncIterator[str]:
        yield "a"
        raise asyncio.CancelledError

    with pytest.raises(rxagents.StreamCancelledError, match="inputs was cancelled"):
        await collected(run_many(make_slow, inputs(), concurrency=2))


async def test_limiter_gets_key_as_context() -> None:
    keys = []

    def fair_by(request: LimitedRequest) -> str:
        keys.append(request.context)
        return str(request.context)

    limiter = rxagents.Limiter(concurrent=1, fair_by=fair_by)
    found = await collected(
        run_many(make_agent, {"a": "A", "b": "B"}, concurrency=2, limiter=limiter)
    )
    assert sorted(keys) == sorted(found) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factory": 3}, "factory must be a function"),
        ({"inputs": "Hello"}, "inputs must be an iterable"),
        ({"inputs": 3}, "inputs must be an iterable"),
        ({"concurrency": 0}, "concurrency must be a whole number"),
        ({"engine": "ray"}, "engine must be an engine"),
        ({"log": "file"}, "log must be an rxagents.EventLog"),
        ({"attempts": 0}, "attempts must be a whole number"),
        ({"report": 3}, "report must be a function"),
    ],
)
def test_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"factory": make_agent, "inputs": [], "concurrency": 1}
    with pytest.raises(ConfigurationError, match=message):
        run_many(**{**usual, **arguments})
