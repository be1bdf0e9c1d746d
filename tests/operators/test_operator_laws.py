"""Test the laws of the operators on bytes or chunks, then those of all operators."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import operator_cases
import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from observing import in_thread, settle
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler
from reactivex.testing import ReactiveTest, TestScheduler
from running import run_async

from rxagents import (
    ConfigurationError,
    OutputError,
    StreamChunk,
    ToolCallDelta,
    from_aiter,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.runtime.bridge import bridge_of

pytestmark = pytest.mark.virtual_time

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe

Operator = Callable[[Observable[Any]], Observable[Any]]
CALL = ToolCallDelta(0, "call_1", "add", "{}", sealed=True)


def view(item: Any) -> Any:
    """Return an output in a short form for comparison."""
    return getattr(item, "content", None) or getattr(item, "data", None) or item


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
    found: list[abc.SchedulerBase | None] = []

    def source(
        _: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        found.append(scheduler)
        return Disposable()

    wanted = CurrentThreadScheduler()
    Observable(source).pipe(case.make()).subscribe(scheduler=wanted)
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


# The laws of all operators, on a loop with virtual time, for plain subscribers.

every_operator = pytest.mark.parametrize("name", operator_cases.CASES)
steps = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("nnnnec")), max_size=8)


class Watcher:
    """A subscriber that notes each call, and checks that calls do not overlap."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, float, Any]] = []
        self.threads: set[int] = set()
        self._is_inside = False

    def watch(self, source: Observable[Any]) -> abc.DisposableBase:
        return source.subscribe(
            lambda item: self.note("N", item),
            lambda error: self.note("E", error),
            lambda: self.note("C"),
        )

    def note(self, kind: str, value: Any = None) -> None:
        assert not self._is_inside
        self._is_inside = True
        self.threads.add(threading.get_ident())
        self.notes.append((kind, asyncio.get_running_loop().time(), value))
        self._is_inside = False

    @property
    def kinds(self) -> str:
        return "".join(kind for kind, *_ in self.notes)

    @property
    def views(self) -> list[Any]:
        return [(kind, repr(view(value))) for kind, _, value in self.notes]


@every_operator
@settings(max_examples=25)
@given(script=steps, seconds=st.integers(0, 500))
def test_serial_delivery_and_silence_after_end(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    script: list[tuple[float, str]],
    seconds: int,
) -> None:
    case = operator_cases.CASES[name]
    operator = case.make(tmp_path_factory.mktemp("laws"))
    source, watcher = operator_cases.Script(case, script), Watcher()

    async def check() -> None:
        subscription = watcher.watch(source.observable.pipe(operator))
        assert not watcher.notes
        await asyncio.sleep(seconds + 0.5)
        for _ in range(2):
            subscription.dispose()
        count = len(watcher.notes)
        await settle()
        assert source.listening == 0
        await asyncio.sleep(1000)
        assert len(watcher.notes) == count
        assert watcher.kinds.lstrip("N") in ("", "E", "C")
        assert watcher.threads <= {threading.get_ident()}

    run_async(check(), virtual_time=True)


@every_operator
@pytest.mark.parametrize("seconds", [0, 15, 500], ids=["at first", "midway", "after the end"])
async def test_dispose_from_thread_at_any_time(tmp_path: Path, name: str, seconds: float) -> None:
    case = operator_cases.CASES[name]
    operator = case.make(tmp_path)
    source, watcher = operator_cases.Script(case, [(10, "n"), (10, "n"), (10, "c")]), Watcher()
    subscription = watcher.watch(source.observable.pipe(operator))
    await asyncio.sleep(seconds)
    in_thread(subscription.dispose)
    count = len(watcher.notes)
    await asyncio.sleep(1000)
    assert len(watcher.notes) == count
    assert source.listening == 0
    in_thread(subscription.dispose)


@every_operator
async def test_error_passes_at_once(tmp_path: Path, name: str) -> None:
    """The error comes after content, so that no operator recovers from it."""
    case = operator_cases.CASES[name]
    source, watcher = operator_cases.Script(case, [(10, "n"), (1, "n"), (0.5, "e")]), Watcher()
    operator = case.make(tmp_path)
    watcher.watch(source.observable.pipe(operator))
    await asyncio.sleep(1000)
    assert watcher.notes[-1] == ("E", 11.5, source.failure)
    assert source.listening == 0


@every_operator
async def test_exception_in_subscribe_reaches_on_error(tmp_path: Path, name: str) -> None:
    failure, watcher = LookupError("no source"), Watcher()
    operator = operator_cases.CASES[name].make(tmp_path)

    def fail(_: abc.ObserverBase[Any], __: Any = None) -> abc.DisposableBase:
        raise failure

    expected = [] if name in {"fallback_to", "hedge"} else [failure]  # these start the other stream
    subscription = watcher.watch(rx.create(fail).pipe(operator))
    await asyncio.sleep(1000)
    assert [value for *_, value in watcher.notes] == expected
    subscription.dispose()


@every_operator
async def test_scheduler_or_own_bridge_reaches_source(tmp_path: Path, name: str) -> None:
    operator = operator_cases.CASES[name].make(tmp_path)
    found: list[abc.SchedulerBase | None] = []
    wanted = TestScheduler()

    def note(
        _: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        found.append(scheduler)
        return Disposable()

    subscription = Observable(note).pipe(operator).subscribe(scheduler=wanted)
    await settle()
    (scheduler,) = found
    assert (bridge_of(scheduler) is not None) if name == "map_async" else scheduler is wanted
    subscription.dispose()


@every_operator
def test_works_without_loop_or_explains(tmp_path: Path, name: str) -> None:
    case = operator_cases.CASES[name]
    errors: list[Exception] = []
    items = itertools.islice(case.stream(), 2)
    rx.from_iterable(items).pipe(case.make(tmp_path)).subscribe(on_error=errors.append)
    for error in errors:
        assert isinstance(error, ConfigurationError | OutputError)
        assert isinstance(error, OutputError) or "rxagents.run" in str(error)


@pytest.mark.parametrize("name", sorted(operator_cases.CASES.keys() - operator_cases.SHARED))
async def test_every_subscription_sees_the_same(tmp_path: Path, name: str) -> None:
    case = operator_cases.CASES[name]
    operator = case.make(tmp_path)
    source = operator_cases.Script(case, [(5, "n"), (5, "n"), (5, "n"), (5, "c")])
    watchers = [Watcher() for _ in range(3)]
    piped = source.observable.pipe(operator)
    for watcher in watchers:
        watcher.watch(piped)
        await asyncio.sleep(12)
    await asyncio.sleep(1000)
    first, *others = [watcher.views for watcher in watchers]
    assert first[-1][0] in "CE"
    assert others == [first, first]
    assert source.subscribed == 3


@pytest.mark.parametrize("name", sorted(operator_cases.SHARED))
async def test_shared_subscribers_see_the_same(tmp_path: Path, name: str) -> None:
    case = operator_cases.CASES[name]
    source = operator_cases.Script(case, [(5, "n"), (5, "n"), (5, "n"), (5, "c")])
    watchers = [Watcher() for _ in range(3)]
    piped = source.observable.pipe(case.make(tmp_path))
    for watcher in watchers:
        watcher.watch(piped)
    await asyncio.sleep(1000)
    assert watchers[0].kinds == "NNNC"
    assert [watcher.notes for watcher in watchers] == [watchers[0].notes] * 3
    assert source.subscribed == 1


@every_operator
async def test_raising_consumer_is_reported_once(
    tmp_path: Path, name: str, loop_errors: list[Exception]
) -> None:
    case = operator_cases.CASES[name]
    operator = case.make(tmp_path)
    stream, failure = operator_cases.Stream(case, 50), LookupError("the screen is gone")
    received: list[Any] = []

    def fail(item: Any) -> None:
        received.append(item)
        raise failure

    piped = from_aiter(stream).pipe(operator)
    piped.subscribe(fail, received.append, lambda: received.append("end"))
    await asyncio.sleep(1000)
    assert len(received) == 1
    assert stream.closed == stream.started
    assert loop_errors == [failure]
    loop_errors.clear()


@every_operator
@pytest.mark.parametrize("ending", ["c", "e", "dispose"])
async def test_nothing_is_referenced_after_end(tmp_path: Path, name: str, ending: str) -> None:
    class Holder:
        def take(self, *_: Any) -> None: ...

    case = operator_cases.CASES[name]
    operator = case.make(tmp_path)
    last = [] if ending == "dispose" else [(5, ending)]
    source = operator_cases.Script(case, [(5, "n"), (5, "n"), *last])
    holder, piped = Holder(), source.observable.pipe(operator)
    held = weakref.ref(holder)
    subscription = piped.subscribe(holder.take, holder.take, holder.take)
    del holder
    await asyncio.sleep(11)
    assert held() is not None
    if ending == "dispose":
        subscription.dispose()
    del subscription
    await asyncio.sleep(1000)
    source.failure = source.failure.with_traceback(None)  # the traceback refers to the subscriber
    gc.collect()
    assert held() is None
    assert piped is not None


@every_operator
async def test_ten_thousand_items_do_not_nest(tmp_path: Path, name: str) -> None:
    case = operator_cases.CASES[name]
    operator, watcher = case.make(tmp_path), Watcher()
    items = itertools.islice(case.stream(), 10_000)
    watcher.watch(rx.from_iterable(items).pipe(operator))
    await asyncio.sleep(100_000)
    kind, _, error = watcher.notes[-1]
    assert kind == "C" or isinstance(error, OutputError)


@every_operator
async def test_full_reader_gets_no_more(tmp_path: Path, name: str) -> None:
    case = operator_cases.CASES[name]
    operator, stream = case.make(tmp_path), operator_cases.Stream(case, 5000)
    async with to_aiter(from_aiter(stream).pipe(operator), capacity=4) as reader:
        await asyncio.sleep(200)
        assert len(reader._queue) <= 4 + 8
    assert stream.closed == stream.started
