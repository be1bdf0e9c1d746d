"""Test the laws of all operators, on a loop with virtual time, for plain subscribers."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref
from pathlib import Path
from typing import Any

import operator_cases
import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import size
from observing import in_thread, settle
from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.testing import TestScheduler
from running import run_async

from rxagents import ConfigurationError, OutputError, from_aiter, to_aiter
from rxagents.runtime.bridge import bridge_of

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
        return [(kind, repr(operator_cases.view(value))) for kind, _, value in self.notes]


@every_operator
@settings(max_examples=size(25, quick=10))
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

    run_async(check())


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


@pytest.mark.parametrize("name", sorted(operator_cases.CASES.keys() - operator_cases.ENCODERS))
async def test_error_passes_at_once(tmp_path: Path, name: str) -> None:
    """The error comes after content, so that no operator recovers from it."""
    case = operator_cases.CASES[name]
    source, watcher = operator_cases.Script(case, [(10, "n"), (1, "n"), (0.5, "e")]), Watcher()
    operator = case.make(tmp_path)
    watcher.watch(source.observable.pipe(operator))
    await asyncio.sleep(1000)
    assert watcher.notes[-1] == ("E", 11.5, source.failure)
    assert source.listening == 0


@pytest.mark.parametrize("name", sorted(operator_cases.ENCODERS))
async def test_error_is_encoded_at_once(tmp_path: Path, name: str) -> None:
    case = operator_cases.CASES[name]
    source, watcher = operator_cases.Script(case, [(10, "n"), (1, "n"), (0.5, "e")]), Watcher()
    watcher.watch(source.observable.pipe(case.make(tmp_path)))
    await asyncio.sleep(1000)
    *_, (_, _, body), end = watcher.notes
    assert b"the wire is cut" in body
    assert end == ("C", 11.5, None)
    assert source.listening == 0


@pytest.mark.parametrize("name", sorted(operator_cases.CASES.keys() - operator_cases.ENCODERS))
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
    assert (
        (bridge_of(scheduler) is not None)
        if name in {"map_async", "best_of"}
        else scheduler is wanted
    )
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

    gc.freeze()  # the collection below has to look at this test's objects only
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
