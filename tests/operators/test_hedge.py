"""Test `hedge`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from matrix import only_full, size
from observing import Numbers, Seen, in_thread, pending, stall, subscribe_on_a_loop_that_ends
from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import (
    ConfigurationError,
    ErrorEvent,
    Latencies,
    StreamCancelledError,
    StreamChunk,
    from_aiter,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.core.events import ErrorInfo

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe

DOWN, WORSE = OSError("down"), OSError("worse")
ERROR = ErrorEvent(ErrorInfo.of(DOWN))
START = StreamChunk(metadata={"model": "m"})

UP: Observable[Any] = rx.of(START, "up")
FAIL: Observable[Any] = rx.concat(rx.of(START), rx.throw(DOWN))
NEVER: Observable[Any] = rx.never()


class Pair:
    """Two cold streams; the second starts after 50 seconds."""

    def __init__(self, first: list[Any], other: list[Any]) -> None:
        self.scheduler = TestScheduler()
        self.first = self.scheduler.create_cold_observable(*first)
        self.other = self.scheduler.create_cold_observable(*other)

    def run(self, disposed: float = 1000, after: float = 50) -> list[Any]:
        observer: Any = self.scheduler.start(
            lambda: self.first.pipe(ops.hedge(self.other, after=after)), disposed=disposed
        )
        assert not pending(self.scheduler) or disposed < 1000
        messages: list[Any] = observer.messages
        return messages


def test_timely_first_stream_runs_alone() -> None:
    pair = Pair([on_next(49, "a"), on_completed(500)], [on_next(1, "b")])
    assert pair.run() == [on_next(249, "a"), on_completed(700)]
    assert pair.other.subscriptions == []


@pytest.mark.parametrize("first", [[on_next(10, "a")], None], ids=["later", "inside subscribe"])
def test_finished_race_has_no_timer(first: list[Any] | None) -> None:
    scheduler = TestScheduler()
    winner = scheduler.create_cold_observable(*first) if first else rx.concat(UP, NEVER)
    winner.pipe(ops.hedge(rx.of("b"), after=50)).subscribe(scheduler=scheduler)
    scheduler.advance_to(20)
    assert not pending(scheduler)


def test_other_starts_later_and_wins() -> None:
    pair = Pair(
        [on_next(100, "a")],
        [on_next(10, START), on_next(20, "b"), on_next(30, "c"), on_completed(40)],
    )
    assert pair.run() == [
        on_next(270, START),
        on_next(270, "b"),
        on_next(280, "c"),
        on_completed(290),
    ]
    assert pair.first.subscriptions == [subscribe(200, 270)]
    assert pair.other.subscriptions == [subscribe(250, 290)]


def test_first_can_still_win() -> None:
    pair = Pair(
        [on_next(5, START), on_next(60, "a"), on_completed(90)],
        [on_next(5, START), on_next(20, "b")],
    )
    assert pair.run() == [on_next(260, START), on_next(260, "a"), on_completed(290)]
    assert pair.other.subscriptions == [subscribe(250, 260)]


def test_items_without_content_do_not_win() -> None:
    pair = Pair([on_next(count, START) for count in range(1, 200, 10)], [on_next(5, "b")])
    assert pair.run() == [on_next(255, "b")]
    assert pair.first.subscriptions == [subscribe(200, 255)]


def test_zero_delay_starts_both() -> None:
    pair = Pair([on_next(20, "a")], [on_next(10, "b"), on_completed(30)])
    assert pair.run(after=0) == [on_next(210, "b"), on_completed(230)]


def test_early_failure_starts_other_at_once() -> None:
    pair = Pair([on_next(4, START), on_error(5, DOWN)], [on_next(10, "b"), on_completed(20)])
    assert pair.run() == [on_next(215, "b"), on_completed(225)]
    assert pair.other.subscriptions == [subscribe(205, 225)]


@pytest.mark.parametrize(
    ("first", "other", "end"),
    [(5, 10, 215), (60, 5, 260), (60, 20, 270)],
    ids=["first, then other", "other, then first", "first while other runs"],
)
def test_both_failing_gives_firsts_error(first: int, other: int, end: int) -> None:
    pair = Pair(
        [on_next(1, START), on_next(2, ERROR), on_error(first, DOWN)],
        [on_next(1, START), on_error(other, WORSE)],
    )
    assert pair.run() == [on_next(end, START), on_next(end, ERROR), on_error(end, DOWN)]


def test_winners_failure_starts_nothing() -> None:
    pair = Pair([on_next(10, "a"), on_next(20, ERROR), on_error(30, DOWN)], [on_next(1, "b")])
    assert pair.run() == [on_next(210, "a"), on_next(220, ERROR), on_error(230, DOWN)]
    assert pair.other.subscriptions == []


def test_empty_completion_wins_too() -> None:
    pair = Pair([on_next(10, START), on_completed(20)], [on_next(1, "b")])
    assert pair.run() == [on_next(220, START), on_completed(220)]
    assert pair.other.subscriptions == []


@pytest.mark.parametrize("disposed", [210, 250, 255, 265])
def test_dispose_closes_both_streams(disposed: int) -> None:
    pair = Pair([], [on_next(10, "b")])
    assert pair.run(disposed) == ([on_next(260, "b")] if disposed > 260 else [])
    assert pair.first.subscriptions == [subscribe(200, min(disposed, 260))]
    assert pair.other.subscriptions == ([subscribe(250, disposed)] if disposed > 250 else [])
    assert not pending(pair.scheduler)


async def test_dispose_from_thread_closes_both() -> None:
    closed: list[str] = []

    def stall(name: str) -> Observable[str]:
        async def items() -> AsyncIterator[str]:
            try:
                await asyncio.Event().wait()
                yield name
            finally:
                closed.append(name)

        return from_aiter(items)

    seen = Seen(stall("first").pipe(ops.hedge(stall("other"), after=5)))
    await asyncio.sleep(10)
    in_thread(seen.subscription.dispose)
    await asyncio.sleep(1)
    assert sorted(closed) == ["first", "other"]
    assert seen.notes == []


# Sources that emit inside `subscribe`.


@pytest.mark.parametrize(
    ("first", "other", "notes"),
    [
        (UP, NEVER, [START, "up", "end"]),
        (UP, UP, [START, "up", "end"]),
        (NEVER, UP, [START, "up", "end"]),
        (FAIL, UP, [START, "up", "end"]),
        (FAIL, FAIL, [START, DOWN]),
        (rx.throw(WORSE), FAIL, [WORSE]),
        (rx.empty(), UP, ["end"]),
        (FAIL, rx.empty(), ["end"]),
        (NEVER, rx.empty(), ["end"]),
    ],
)
@pytest.mark.parametrize("after", [0, 5])
async def test_sources_emitting_inside_subscribe(
    first: Observable[Any], other: Observable[Any], after: float, notes: list[Any]
) -> None:
    seen = Seen(first.pipe(ops.hedge(other, after=after)))
    await seen.over.wait()
    assert seen.notes == notes


@pytest.mark.parametrize("rest", ["item", "error", "end"])
def test_loser_inside_subscribe_is_muted(rest: str) -> None:
    subject: Subject[str] = Subject()
    closed: list[bool] = []

    def lose(observer: abc.ObserverBase[str], _: Any = None) -> abc.DisposableBase:
        subject.on_next("first")
        {
            "item": lambda: observer.on_next("other"),
            "error": lambda: observer.on_error(DOWN),
            "end": observer.on_completed,
        }[rest]()
        return Disposable(lambda: closed.append(True))

    scheduler = TestScheduler()
    seen: list[Any] = []
    operator = ops.hedge(rx.create(lose), after=5)
    subject.pipe(operator).subscribe(
        seen.append, seen.append, lambda: seen.append("end"), scheduler=scheduler
    )
    scheduler.start()
    subject.on_next("second")
    assert seen == ["first", "second"]
    assert closed == [True]


# A percentile of the measured times.


class Line:
    """Requests one after the other, each of which takes a given time to its first item."""

    def __init__(self, *, after: str, latencies: Latencies) -> None:
        self.scheduler = TestScheduler()
        self.hedged = 0
        self._latency = 0.0
        source = rx.defer(lambda _: self._after(self._latency))
        self._operator = ops.hedge(rx.defer(self._hedge), after=after, latencies=latencies)
        self._stream = source.pipe(self._operator)

    def request(self, latency: float) -> None:
        self._latency = latency
        self._stream.subscribe(scheduler=self.scheduler)
        self.scheduler.start()

    def _hedge(self, _: Any) -> Observable[Any]:
        self.hedged += 1
        return self._after(1)

    def _after(self, seconds: float) -> Observable[Any]:
        time: Any = seconds  # typed as `int`, and fractions work
        return self.scheduler.create_cold_observable(on_next(time, "item"), on_completed(time))


def test_percentile_is_learnt_from_the_times() -> None:
    line = Line(after="p95", latencies=(latencies := Latencies()))
    for latency in range(1, 20):
        line.request(latency)
    line.request(10_000)
    assert line.hedged == 0  # too few times are known
    assert latencies.quantile(0.95) == 19
    line.request(18)
    assert line.hedged == 0
    line.request(25)
    assert line.hedged == 1


@pytest.mark.parametrize(
    ("after", "share"), [("p95", 0.05), pytest.param("p80", 0.2, marks=only_full)]
)
def test_share_of_hedged_requests_stays_constant(after: str, share: float) -> None:
    """A lost race counts too: without it, each hedge would lower the percentile."""
    chance, line = random.Random(1), Line(after=after, latencies=Latencies(size=100))
    for _ in range(size(4000, quick=700)):
        line.request(chance.expovariate(0.01))
    assert line.hedged / size(4000, quick=700) == pytest.approx(share, rel=0.35)


def test_operator_learns_by_itself() -> None:
    scheduler, started = TestScheduler(), list[float]()
    source = scheduler.create_cold_observable(on_next(10, "a"), on_completed(10))
    other = rx.defer(lambda _: started.append(scheduler.clock) or rx.of("b"))  # type: ignore[func-returns-value]  # `append` returns None
    operator = ops.hedge(other, after="p50")
    for _ in range(20):
        source.pipe(operator).subscribe(scheduler=scheduler)
        scheduler.start()
    now = scheduler.clock
    NEVER.pipe(operator).subscribe(scheduler=scheduler)
    scheduler.start()
    assert started == [now + 10]


def test_failed_first_stream_is_not_measured() -> None:
    scheduler, latencies = TestScheduler(), Latencies()
    source: Observable[Any] = scheduler.create_cold_observable(on_error(10, DOWN))
    source.pipe(ops.hedge(rx.of("b"), after="p95", latencies=latencies)).subscribe(
        scheduler=scheduler
    )
    scheduler.start()
    assert len(latencies) == 0


@pytest.mark.parametrize("after", ["95", "p0", "p100", "p-5", "P95", "", None, -1])
def test_wrong_delays_are_refused(after: Any) -> None:
    with pytest.raises(ConfigurationError, match="after must be"):
        ops.hedge(NEVER, after=after)
    with pytest.raises(ConfigurationError, match=r"latencies must be an rxagents\.Latencies"):
        ops.hedge(NEVER, after="p95", latencies=5)  # type: ignore[arg-type]  # on purpose


# Backpressure, and the end of the loop.


async def test_slow_reader_slows_winner() -> None:
    numbers = Numbers()
    stream = NEVER.pipe(ops.hedge(from_aiter(numbers), after=5))
    async with to_aiter(stream, capacity=4) as items:
        assert await anext(items) == 0
        await asyncio.sleep(1)
        assert numbers.made <= 6


def test_cancelled_loop_starts_nothing() -> None:
    started: list[bool] = []

    def other(_: Any) -> Observable[int]:
        started.append(True)
        return rx.of(0)

    operator = ops.hedge(rx.defer(other), after=60)
    seen = subscribe_on_a_loop_that_ends(lambda: from_aiter(stall).pipe(operator))
    assert [type(note) for note in seen.notes] == [StreamCancelledError]
    assert started == []


scripts = st.lists(st.tuples(st.integers(1, 60), st.sampled_from("stec")), max_size=6)


@given(first=scripts, other=scripts, after=st.integers(0, 100))
def test_output_is_one_whole_stream(
    first: list[tuple[int, str]], other: list[tuple[int, str]], after: int
) -> None:
    """`s` is a chunk without content, `t` text, `e` an error, `c` the end."""
    pair = Pair(_script("a", first), _script("b", other))
    messages = pair.run(after=after)
    items = [message.value.value for message in messages if message.value.kind == "N"]
    winners = {str(item.metadata["of"]) for item in items}
    assert len(winners) <= 1
    if winners:
        script = first if winners == {"a"} else other
        kinds = "".join(kind for _, kind in script)
        kinds = kinds[: min((i for i, kind in enumerate(kinds) if kind in "ec"), default=99)]
        assert [item.index for item in items] == list(range(len(kinds)))
    ends = [message.value.kind for message in messages if message.value.kind != "N"]
    assert len(ends) <= 1
    if ends == ["E"] and "t" not in [item.delta for item in items]:
        assert str(messages[-1].value.exception) == "a"


def _script(name: str, script: list[tuple[int, str]]) -> list[Any]:
    time, notes = 0, list[Any]()
    for index, (delay, kind) in enumerate(script):
        time += delay
        chunk = StreamChunk("t" if kind == "t" else "", index, metadata={"of": name})
        ends = {"e": on_error(time, OSError(name)), "c": on_completed(time)}
        notes.append(ends.get(kind, on_next(time, chunk)))
    return notes
