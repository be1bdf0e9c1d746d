"""Test many runs on workers, which are objects on the loop of the test."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import worker_agents
from local_workers import LocalLink, LocalWorkers
from reactivex import Observable
from worker_agents import make_agent, make_mixed, make_stepping

import rxagents
from rxagents import (
    Complete,
    ConfigurationError,
    EventLog,
    Reset,
    RunReport,
    StreamEvent,
    run_many,
    to_aiter,
)
from rxagents.runtime.many_runs.messages import (
    Answer,
    Asked,
    Batch,
    Checkpointed,
    Granted,
    Left,
    Setup,
    Start,
    decode_answer,
)
from rxagents.runtime.many_runs.permits import Permits
from rxagents.runtime.many_runs.worker import WINDOW, Worker


async def collected(
    stream: Observable[tuple[str, StreamEvent]], on_event: Callable[[str], None] = lambda _: None
) -> dict[str, list[StreamEvent]]:
    found: dict[str, list[StreamEvent]] = {}
    async with to_aiter(stream) as items:
        async for key, event in items:
            found.setdefault(key, []).append(event)
            on_event(key)
    return found


def shapes(events: list[StreamEvent]) -> list[tuple[str, str]]:
    return [(event.type, event.content) for event in events]


def kind(events: list[StreamEvent]) -> str:
    error = events[-1].error
    return "" if error is None else error.kind


async def test_workers_give_same_events_as_loop() -> None:
    names = "good", "raises", "fails", "large number", "operator raises", "good again"
    inputs = {name: name for name in names}
    on_loop = await collected(run_many(make_mixed, inputs, concurrency=2))
    on_workers = await collected(
        run_many(make_mixed, inputs, concurrency=2, engine=LocalWorkers(2))
    )
    assert {key: shapes(events) for key, events in on_workers.items()} == {
        key: shapes(events) for key, events in on_loop.items()
    }
    assert kind(on_loop["operator raises"]) == "ZeroDivisionError"
    assert kind(on_loop["good again"]) == ""
    error = on_workers["fails"][-1].error
    assert error is not None
    assert isinstance(error.exception(), rxagents.RateLimitError)


async def test_report_of_worker_has_usage_and_cost() -> None:
    reports: list[RunReport] = []
    await collected(
        run_many(
            make_agent, {"a": "A"}, concurrency=1, engine=LocalWorkers(1), report=reports.append
        )
    )
    [report] = reports
    assert (report.output, report.attempts, report.cost.requests) == ("It is warm.", 1, 1)
    assert report.usage is not None
    assert report.usage.input_tokens == 7


async def test_item_that_cannot_travel_fails_its_run() -> None:
    names = ["no event", "good", "cannot be encoded", "odd text"]
    found = await collected(
        run_many(make_mixed, zip(names, names, strict=True), concurrency=4, engine=LocalWorkers(1))
    )
    assert {name: kind(found[name]) for name in names} == {
        "no event": "ConfigurationError",
        "good": "",
        "cannot be encoded": "TypeError",
        "odd text": "",
    }
    assert found["odd text"][0].content == "? a"


async def test_input_that_cannot_be_pickled_fails_its_run() -> None:
    inputs: dict[str, Any] = {"bad": lambda: None, "good": "good"}
    found = await collected(run_many(make_mixed, inputs, concurrency=1, engine=LocalWorkers(1)))
    assert (kind(found["bad"]), kind(found["good"])) == ("ConfigurationError", "")


async def test_factory_that_cannot_be_pickled_fails_stream() -> None:
    stream = run_many(lambda: make_agent(), ["a"], concurrency=1, engine=LocalWorkers(1))
    with pytest.raises(ConfigurationError, match="factory of run_many cannot be sent"):
        await collected(stream)


async def test_factory_that_raises_fails_each_run() -> None:
    stream = run_many(worker_agents.make_nothing, ["a", "b"], concurrency=1, engine=LocalWorkers(1))
    assert [kind(events) for events in (await collected(stream)).values()] == ["OSError"] * 2


async def test_runs_are_spread_over_workers() -> None:
    workers = LocalWorkers(2)
    await collected(run_many(make_mixed, ["slow"] * 6, concurrency=4, engine=workers))
    assert [link.events_sent for link in workers.links] == [6, 6]


async def test_slow_reader_stops_runs_of_worker() -> None:
    workers = LocalWorkers(1)
    stream = run_many(make_mixed, ["endless"] * 3, concurrency=3, engine=workers)
    async with to_aiter(stream) as items:
        await anext(items)
        await asyncio.sleep(60)
        first = workers.links[0].events_sent
        assert first <= WINDOW + 512 + 3
        for _ in range(2 * WINDOW):
            await anext(items)
        assert workers.links[0].events_sent > first


async def test_dispose_ends_runs_of_workers() -> None:
    workers = LocalWorkers(2)
    seen: list[object] = []
    stream = run_many(make_mixed, ["slow"] * 4, concurrency=4, engine=workers)
    subscription = stream.subscribe(seen.append)
    await asyncio.sleep(0.1)
    assert len(seen) == 4
    subscription.dispose()
    await asyncio.sleep(10)
    assert len(seen) == 4
    assert [link.events_sent for link in workers.links] == [2, 2]


async def test_run_of_lost_worker_starts_again_behind_reset() -> None:
    workers = LocalWorkers(1)

    def lose_first(_: str) -> None:
        if len(workers.links) == 1:
            workers.links[0].lose()

    reports: list[RunReport] = []
    stream = run_many(
        make_mixed, {"a": "slow"}, concurrency=1, engine=workers, report=reports.append
    )
    found = await collected(stream, lose_first)
    assert [event.type for event in found["a"]] == ["token", "reset", "token", "token", "complete"]
    reset = found["a"][1]
    assert isinstance(reset, rxagents.Reset)
    assert (reset.scope, reset.error.kind) == ("run", "RunInterruptedError")
    assert "The local worker of the run 'a' ended with exit code 3" in reset.error.message
    assert reports[0].attempts == 2


@pytest.mark.parametrize("attempts", [2, 3, 4])
async def test_run_that_ends_its_worker_is_only_one_to_fail(attempts: int) -> None:
    workers = LocalWorkers(1)
    stream = run_many(
        make_mixed,
        {str(number): "slow" for number in range(9)},
        concurrency=9,
        engine=workers,
        attempts=attempts,
    )

    def lose_worker_of_4(key: str) -> None:
        if key == "4":
            workers.links[-1].lose()

    found = await collected(stream, lose_worker_of_4)
    assert {key for key, events in found.items() if kind(events)} == {"4"}
    assert kind(found["4"]) == "RunInterruptedError"
    assert len(workers.links) == attempts + 1


@pytest.mark.parametrize("lost_after", ["tool_start", "tool_end", "turn_end", "token"])
async def test_run_in_log_goes_on_after_lost_worker(lost_after: str) -> None:
    worker_agents.CALLS.clear()
    workers, log = LocalWorkers(1), EventLog()
    stream = run_many(make_stepping, {"a": "A"}, concurrency=1, engine=workers, log=log)
    events: list[StreamEvent] = []
    async with to_aiter(stream) as items:
        async for _, event in items:
            events.append(event)
            if event.type == lost_after and len(workers.links) == 1:
                await asyncio.sleep(0.005)
                workers.links[0].lose()
    assert isinstance(events[-1], Complete)
    assert events[-1].content == "The answer of A is whole."
    assert len(workers.links) == 2
    [reset] = [event for event in events if isinstance(event, Reset)]
    assert reset.scope == ("run" if lost_after == "token" else "turn")
    assert worker_agents.CALLS == ["A call_0", "A call_1"]
    entries = [event.item async for event in _entries(log, "a")]
    assert shapes(entries) == shapes(events)


async def _entries(log: EventLog, key: str) -> AsyncIterator[Any]:
    async with to_aiter(rxagents.from_log(log, key)) as entries:
        async for entry in entries:
            yield entry


@pytest.mark.parametrize("has_workers", [False, True], ids=["loop", "workers"])
async def test_stream_started_again_goes_on_with_log(has_workers: bool) -> None:
    worker_agents.CALLS.clear()
    log = EventLog()

    def runs() -> Observable[tuple[str, StreamEvent]]:
        engine = LocalWorkers(2) if has_workers else None
        inputs = {name: name for name in "abc"}
        return run_many(make_stepping, inputs, concurrency=3, engine=engine, log=log)

    async with to_aiter(runs()) as items:
        while (await anext(items))[1].type != "tool_end":
            pass
        while (await anext(items))[1].type != "tool_end":
            pass
    await asyncio.sleep(1)
    found = await collected(runs())
    assert {events[-1].content for events in found.values()} == {
        f"The answer of {name} is whole." for name in "abc"
    }
    ended = [call for call in worker_agents.CALLS if call != "c call_0"]
    assert len(ended) == len(set(ended)) == 5


async def test_checkpoint_follows_events_before_it() -> None:
    answers: list[Answer] = []
    worker = Worker(lambda data: answers.append(decode_answer(data)))
    worker.on_order(Setup(pickle.dumps(make_stepping), b"", False, False))
    worker.on_order(Start(1, pickle.dumps("A"), True, b""))
    await asyncio.sleep(1)
    first = next(n for n, answer in enumerate(answers) if isinstance(answer, Checkpointed))
    batches = [answer for answer in answers[:first] if isinstance(answer, Batch) and answer.events]
    assert batches[-1].events[-1][1].type == "tool_start"
    await worker.aclose()


async def test_request_that_leaves_worker_leaves_line() -> None:
    limiter = rxagents.Limiter(concurrent=1)
    permits = Permits(limiter)
    sent: list[Granted] = []
    for number in (1, 2):
        permits.on_answer(Asked(number, 1, "openai", "m", 10, 10), sent.append, "key")
    await asyncio.sleep(1)
    assert [each.permit for each in sent] == [1]
    permits.on_answer(Left(2), sent.append, "")
    await asyncio.sleep(1)
    assert limiter.state().waiting == {}
    permits.close()
    assert limiter.state().in_flight == 0


async def test_lost_run_is_not_started_more_often_than_attempts() -> None:
    workers = LocalWorkers(1)

    def lose(_: str) -> None:
        workers.links[-1].lose()

    stream = run_many(make_mixed, {"a": "slow"}, concurrency=1, engine=workers, attempts=1)
    found = await collected(stream, lose)
    assert [event.type for event in found["a"]] == ["token", "error"]


async def test_worker_lost_before_ready_fails_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(self: LocalLink, _: bytes) -> None:
        self.lose()

    monkeypatch.setattr(LocalLink, "send", lose)
    stream = run_many(make_mixed, ["a"], concurrency=1, engine=LocalWorkers(1))
    with pytest.raises(
        rxagents.RxAgentsError, match="ended with exit code 3 before it was ready, 3 times"
    ):
        await collected(stream)


async def test_limiter_is_shared_by_workers() -> None:
    keys: list[Any] = []

    def fair_by(request: rxagents.LimitedRequest) -> Any:
        keys.append((request.context, request.model))
        return request.context

    limiter = rxagents.Limiter(requests_per_minute=60, burst=1, fair_by=fair_by)
    start = asyncio.get_running_loop().time()
    stream = run_many(
        make_agent,
        {name: name for name in "abcd"},
        concurrency=4,
        engine=LocalWorkers(2),
        limiter=limiter,
    )
    assert len(await collected(stream)) == 4
    assert asyncio.get_running_loop().time() - start >= 3
    assert sorted(keys) == [(name, "scripted") for name in "abcd"]
    assert limiter.state().in_flight == 0


async def test_disposed_run_of_worker_leaves_limiter() -> None:
    limiter = rxagents.Limiter(requests_per_minute=1)
    stream = run_many(
        make_agent, ["a", "b"], concurrency=2, engine=LocalWorkers(1), limiter=limiter
    )
    subscription = stream.subscribe()
    await asyncio.sleep(1)
    assert limiter.state().waiting == {None: 1}
    subscription.dispose()
    await asyncio.sleep(1)
    assert (limiter.state().waiting, limiter.state().in_flight) == ({}, 0)
