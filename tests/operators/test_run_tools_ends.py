"""`run_tools`: failures, dispose, resets and invalid arguments."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from observing import pending
from reactivex.testing import ReactiveTest, TestScheduler
from timed_tools import TimedTools, call, calling
from tool_marbles import mark, marks, run_marbles, timeline

from rxagents import (
    ConfigurationError,
    Reset,
    StreamChunk,
    ToolStart,
)
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


# Failure and dispose.


def test_source_error_cancels_the_tools() -> None:
    tools = TimedTools()
    made = [tools.taking(name, 500) for name in "abc"]
    notes = [*(on_next(210, call(name)) for name in "abc"), on_error(230, OSError("cut"))]
    marked = timeline(notes, made, concurrency=2)
    assert marked == [(210, "S a"), (210, "S b"), (230, "# cut")]
    assert sorted(tools.ended) == ["a", "b"]
    assert tools.started == ["a", "b"]


def test_tools_end_before_on_error() -> None:
    tools = TimedTools()
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(
        on_next(210, call("a")), on_error(220, OSError("cut"))
    )
    left: list[str] = []
    source.pipe(ops.run_tools([tools.taking("a", 50)])).subscribe(
        on_error=lambda _: left.extend(tools.ended), scheduler=scheduler
    )
    scheduler.start()
    assert left == ["a"]


@pytest.mark.parametrize(
    ("disposed", "started", "ended", "count"),
    [
        (205, [], [], 0),
        (215, ["a"], ["a"], 1),  # while the source goes on
        (235, ["a", "b"], ["a", "b"], 4),  # after it
    ],
)
def test_dispose_ends_source_and_tools(
    disposed: int, started: list[str], ended: list[str], count: int
) -> None:
    tools = TimedTools()
    made = [tools.taking("a", 10), tools.taking("b", 90)]
    notes = [on_next(210, call("a")), on_next(220, call("b")), on_completed(230)]
    marked, _, source = run_marbles(notes, made, disposed=disposed)
    assert (tools.started, tools.ended) == (started, ended)
    assert source.subscriptions == [subscribe(200, min(disposed, 230))]
    assert len(marked) <= count
    assert "|" not in [mark for _, mark in marked]


def test_dispose_at_start_prevents_the_tool() -> None:
    tools = TimedTools()
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(on_next(210, call("a")), on_next(210, call("b")))
    seen: list[Any] = []

    def take(event: Any) -> None:
        seen.append(event)
        subscription.dispose()

    piped = source.pipe(ops.run_tools([tools.taking("a", 1), tools.taking("b", 1)]))
    subscription = piped.subscribe(take, scheduler=scheduler)
    scheduler.start()
    assert [event.content for event in seen] == ["a"]
    assert tools.started == []
    assert not pending(scheduler)


@pytest.mark.parametrize("at", ["S a", "E a", "S none", "E none", "P n 0"])
def test_consumer_exception_ends_without_terminal(at: str) -> None:
    tools = TimedTools()
    scheduler = TestScheduler()
    notes = [on_next(210, call(name)) for name in ("long", "n", "a", "none")]
    source: Any = scheduler.create_hot_observable(*notes, on_completed(900))
    made = [tools.taking("long", 500), tools.taking("a", 10), tools.counting("n", 5)]
    seen: list[str] = []

    def take(event: Any) -> None:
        seen.append(mark(rx.notification.OnNext(event)))
        if seen[-1] == at:
            raise KeyError("mine")

    def end(*_: Any) -> None:
        raise AssertionError("no terminal")

    source.pipe(ops.run_tools(made)).subscribe(take, end, end, scheduler=scheduler)
    with pytest.raises(KeyError, match="mine"):
        scheduler.start()
    scheduler.stop()
    scheduler.start()
    assert seen[-1] == at
    assert not source.observers
    assert sorted(tools.ended) == sorted(tools.started)
    assert not pending(scheduler)


# Resets.


@pytest.mark.parametrize("as_event", [False, True], ids=["chunk", "event"])
@pytest.mark.parametrize("start", ["at_once", "turn_end"])
def test_reset_drops_earlier_calls(start: str, as_event: bool) -> None:
    tools = TimedTools()
    made = [tools.taking(name, 100) for name in "abc"]
    error = OSError("cut")
    reset = Reset.of(error) if as_event else StreamChunk.reset(error)
    notes = [
        on_next(210, calling(0, "a")),
        on_next(215, calling(1, "b")),  # waits
        on_next(220, reset),
        on_next(230, calling(0, "c")),
        on_completed(240),
    ]
    marked = timeline(notes, made, start=start, concurrency=1)
    assert tools.ended == (["a", "c"] if start == "at_once" else ["c"])
    assert [mark for _, mark in marked if mark[0] == "E"] == ["E c"]
    assert marked[-1] == ((330, "|") if start == "at_once" else (340, "|"))


def test_reset_drops_open_fragments() -> None:
    tools = TimedTools()
    notes = [
        on_next(210, calling(0, "a", '{"x": 1, ', sealed=False)),
        on_next(220, StreamChunk.reset(OSError("cut"))),
        on_next(230, calling(0, "a")),
        on_completed(240),
    ]
    _, values, _ = run_marbles(notes, [tools.taking("a", 1)])
    (start,) = [value for value in values if isinstance(value, ToolStart)]
    assert start.arguments == {}


# Subscriptions.


def test_subscriptions_are_independent() -> None:
    scheduler = TestScheduler()
    cold: Any = scheduler.create_cold_observable(
        on_next(10, calling(0, "a", "", sealed=False)), on_next(20, calling(0, "a")),
        on_completed(30),
    )  # fmt: skip
    piped = cold.pipe(ops.run_tools([TimedTools().taking("a", 100)], concurrency=1))
    first, second = scheduler.create_observer(), scheduler.create_observer()
    piped.subscribe(first, scheduler=scheduler)
    scheduler.schedule_absolute(
        15.0, lambda *_: piped.subscribe(second, scheduler=scheduler)
    )  # fmt: skip
    scheduler.start()
    expected = [(10, "calls"), (20, "calls"), (20, "S a"), (120, "E a"), (120, "|")]
    assert marks(first.messages) == expected
    assert marks(second.messages) == [(time + 15, mark) for time, mark in expected]


@pytest.mark.parametrize(
    "arguments",
    [
        {"tools": "add"},
        {"tools": [1]},
        {"tools": [TimedTools().taking("a", 1), TimedTools().taking("a", 2)]},
        {"concurrency": 0},
        {"concurrency": True},
        {"concurrency": 1.5},
        {"start": "now"},
        {"start": ["at_once"]},
        {"approve": "yes"},
    ],
    ids=range(9),
)
def test_bad_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ops.run_tools(**{"tools": [], **arguments})
