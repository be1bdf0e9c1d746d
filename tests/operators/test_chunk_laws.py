"""Test the laws of the operators on bytes or chunks, with their exact output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from observing import scheduler_spy
from operator_cases import view
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.scheduler import CurrentThreadScheduler
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, StreamChunk, ToolCallDelta
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe
Operator = Callable[[Observable[Any]], Observable[Any]]
CALL = ToolCallDelta(0, "call_1", "add", "{}", sealed=True)


class ExactCase:
    """An operator, two source items, and the output for each of them and for the end."""

    def __init__(
        self, make: Callable[[], Operator], items: list[Any], out: list[list[Any]], last: list[Any]
    ) -> None:
        self.make = make
        self.items = items
        self.out = out
        self.last = last

    def messages(self, *times: int, end: int) -> list[Any]:
        """Return the messages of a subscriber whose items come at `times`."""
        timed = zip(times, self.out, strict=True)
        return [
            *(on_next(time, value) for time, values in timed for value in values),
            *(on_next(end, value) for value in self.last),
            on_completed(end),
        ]


TEXT = [StreamChunk("Hel"), StreamChunk("lo")]
EXACT_CASES = {
    "decode_sse": ExactCase(
        ops.decode_sse, [b"data: a\n\ndata", b": b\n\ndata: c"], [["a"], ["b"]], []
    ),
    "decode_ndjson": ExactCase(ops.decode_ndjson, [b'"a"\n"', b'b"\n"c"'], [["a"], ["b"]], ["c"]),
    "text": ExactCase(ops.text, TEXT, [["Hel"], ["lo"]], []),
    "accumulate": ExactCase(ops.accumulate, TEXT, [["Hel"], ["Hello"]], []),
    "collect": ExactCase(ops.collect, TEXT, [[], []], ["Hello"]),
    "assemble_tool_calls": ExactCase(
        lambda: _names(ops.assemble_tool_calls()),
        [StreamChunk(tool_calls=(CALL,)), StreamChunk("x")],
        [["add"], []],
        [],
    ),
}


each_exact_case = pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in EXACT_CASES.items()]
)


def _names(operator: Operator) -> Operator:
    def name(call: Any) -> Any:
        return call.name

    return rx.compose(operator, rx_ops.map(name))


def seen(messages: list[Any]) -> list[Any]:
    return [
        on_next(int(m.time), view(m.value.value)) if m.value.kind == "N" else m for m in messages
    ]


def run(
    scheduler: TestScheduler, source: Observable[Any], case: ExactCase, disposed: float = 1000
) -> list[Any]:
    observer: Any = scheduler.start(lambda: source.pipe(case.make()), disposed=disposed)
    messages: list[Any] = observer.messages
    return messages


@each_exact_case
def test_emits_and_completes_with_source(case: ExactCase) -> None:
    scheduler = TestScheduler()
    a, b = case.items
    source = scheduler.create_hot_observable(on_next(210, a), on_next(220, b), on_completed(230))
    assert seen(run(scheduler, source, case)) == case.messages(210, 220, end=230)
    assert source.subscriptions == [subscribe(200, 230)]


@each_exact_case
def test_source_error_passes_at_once(case: ExactCase) -> None:
    failure = OSError("the wire is cut")
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, case.items[0]), on_error(215, failure))
    *before, last = run(scheduler, source, case)
    assert seen(before) == [on_next(210, value) for value in case.out[0]]
    assert last.time == 215
    assert last.value.exception is failure
    assert source.subscriptions == [subscribe(200, 215)]


@each_exact_case
def test_dispose_unsubscribes_in_silence(case: ExactCase) -> None:
    scheduler = TestScheduler()
    a, b = case.items
    source = scheduler.create_hot_observable(on_next(210, a), on_next(220, b), on_completed(230))
    assert seen(run(scheduler, source, case, disposed=215)) == [
        on_next(210, value) for value in case.out[0]
    ]
    assert source.subscriptions == [subscribe(200, 215)]


@each_exact_case
def test_subscriptions_share_nothing(case: ExactCase) -> None:
    scheduler = TestScheduler()
    a, b = case.items
    source = scheduler.create_cold_observable(on_next(10, a), on_next(30, b), on_completed(40))
    piped = source.pipe(case.make())
    first, second, third = (scheduler.create_observer() for _ in range(3))
    for time, observer in ((200, first), (215, second), (500, third)):
        scheduler.schedule_absolute(time, lambda *_, o=observer: piped.subscribe(o))
    scheduler.start()
    assert seen(first.messages) == case.messages(210, 230, end=240)
    assert seen(second.messages) == case.messages(225, 245, end=255)
    assert seen(third.messages) == case.messages(510, 530, end=540)


@each_exact_case
def test_subscribers_scheduler_reaches_source(case: ExactCase) -> None:
    source, found = scheduler_spy()
    wanted = CurrentThreadScheduler()
    source.pipe(case.make()).subscribe(scheduler=wanted)
    assert found == [wanted]


@each_exact_case
@pytest.mark.parametrize("item", ["text", None], ids=["str", "None"])
def test_wrong_item_type_fails_the_stream(case: ExactCase, item: object) -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        on_next(210, case.items[0]), on_next(220, item), on_next(230, case.items[1])
    )
    *before, last = run(scheduler, source, case)
    assert seen(before) == [on_next(210, value) for value in case.out[0]]
    assert last.time == 220
    assert isinstance(last.value.exception, ConfigurationError)
    assert type(item).__name__ in str(last.value.exception)
    assert source.subscriptions == [subscribe(200, 220)]


@pytest.mark.parametrize("make", [ops.decode_sse, ops.decode_ndjson])
@pytest.mark.parametrize("limit", [0, -1, 1.5, "8", True, None])
def test_invalid_limit_is_refused(make: Callable[[Any], Operator], limit: object) -> None:
    with pytest.raises(ConfigurationError, match="1 or more"):
        make(limit)


@pytest.mark.parametrize("make", [ops.text, ops.accumulate, ops.collect, ops.assemble_tool_calls])
@pytest.mark.parametrize(
    "choice", [-1, "0", True, rx.empty()], ids=["negative", "text", "bool", "a source"]
)
def test_invalid_choice_is_refused(make: Callable[[Any], Operator], choice: object) -> None:
    with pytest.raises(ConfigurationError, match=r"choice must be|Pass the result of"):
        make(choice)


@pytest.mark.parametrize(
    ("operator", "burst"),
    [
        (ops.decode_sse(), b"data: 1\n\ndata: 2\n\n"),
        (ops.decode_ndjson(), b"1\n2\n"),
        (
            ops.assemble_tool_calls(),
            StreamChunk(tool_calls=(CALL, ToolCallDelta(1, "call_2", "sub", sealed=True))),
        ),
    ],
    ids=["decode_sse", "decode_ndjson", "assemble_tool_calls"],
)
def test_dispose_in_on_next_drops_burst(operator: Operator, burst: Any) -> None:
    subject: rx.Subject[Any] = rx.Subject()
    out: list[Any] = []

    def take_one(item: Any) -> None:
        out.append(item)
        subscription.dispose()

    subscription = subject.pipe(operator).subscribe(take_one)
    subject.on_next(burst)
    assert len(out) == 1
