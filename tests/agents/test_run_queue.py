"""`RunQueue`: runs of one key go one after the other, however each of them ends."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import reactivex as rx
from observing import Seen, in_thread, settle
from queued_runs import Runs
from reactivex import operators as rx_ops
from reactivex.testing import TestScheduler

import rxagents
from rxagents.agents.queue import RunQueue


async def test_runs_keep_subscription_order() -> None:
    runs = Runs(RunQueue())
    seen = {name: Seen(runs.of("a", name)) for name in "123"}
    for number, name in enumerate("123"):
        await settle()
        assert runs.started == list("123"[: number + 1])
        runs.end(name)
        assert seen[name].notes == [name, "end"]


async def test_run_starts_on_the_loop() -> None:
    runs = Runs(RunQueue())
    Seen(runs.of("a", "1"))
    assert runs.started == []
    await settle()
    assert runs.started == ["1"]
    runs.end("1")


async def test_runs_of_other_keys_overlap() -> None:
    runs = Runs(RunQueue())
    seen = [Seen(runs.of(key, key + name)) for name in "12" for key in "ab"]
    await settle()
    assert runs.started == ["a1", "b1"]
    for name in ("b1", "a1"):
        runs.end(name)
    await settle()
    assert runs.started == ["a1", "b1", "b2", "a2"]
    for each in seen:
        each.subscription.dispose()


async def test_failed_run_starts_the_next() -> None:
    runs = Runs(RunQueue())
    first, second = Seen(runs.of("a", "1")), Seen(runs.of("a", "2"))
    await settle()
    error = rxagents.OutputError("no")
    runs.end("1", error)
    await settle()
    assert first.notes == [error]
    assert runs.started == ["1", "2"]
    runs.end("2")
    assert second.notes == ["2", "end"]


async def test_disposed_waiting_run_never_starts() -> None:
    runs = Runs(RunQueue())
    seen = {name: Seen(runs.of("a", name)) for name in "1234"}
    await settle()
    for name in "23":
        seen[name].subscription.dispose()
    runs.end("1")
    await settle()
    assert runs.started == ["1", "4"]
    assert seen["2"].notes == seen["3"].notes == []
    runs.end("4")


async def test_disposed_unstarted_run_starts_the_next() -> None:
    runs = Runs(RunQueue())
    first, _ = Seen(runs.of("a", "1")), Seen(runs.of("a", "2"))
    first.subscription.dispose()
    await settle()
    assert runs.started == ["2"]
    runs.end("2")


async def test_disposed_run_starts_the_next() -> None:
    runs = Runs(RunQueue())
    first, _ = Seen(runs.of("a", "1")), Seen(runs.of("a", "2"))
    await settle()
    for _ in range(3):
        first.subscription.dispose()
    assert runs.ended == ["1"]
    await settle()
    assert runs.started == ["1", "2"]
    assert first.notes == []
    runs.end("2")


@pytest.mark.parametrize("disposed", ["1", "2"], ids=["while it runs", "while it waits"])
async def test_another_thread_may_dispose(disposed: str) -> None:
    runs = Runs(RunQueue())
    seen = {name: Seen(runs.of("a", name)) for name in "123"}
    await settle()
    in_thread(seen[disposed].subscription.dispose)
    await settle()
    if disposed == "2":
        runs.end("1")
        await settle()
    following = "2" if disposed == "1" else "3"
    assert runs.started == ["1", following]
    assert seen[following].threads <= {threading.get_ident()}
    for each in seen.values():
        each.subscription.dispose()


async def test_raising_subscriber_starts_the_next(loop_errors: list[Exception]) -> None:
    runs = Runs(RunQueue())

    def fail(_: str) -> None:
        raise ZeroDivisionError

    runs.of("a", "1").subscribe(fail)
    Seen(runs.of("a", "2"))
    await settle()
    runs.end("1")
    await settle()
    assert runs.started == ["1", "2"]
    runs.end("2")
    assert [type(error) for error in loop_errors] == [ZeroDivisionError]
    loop_errors.clear()


async def test_run_may_start_its_successor() -> None:
    runs = Runs(RunQueue())
    later: list[Seen] = []
    runs.of("a", "1").subscribe(on_completed=lambda: later.append(Seen(runs.of("a", "2"))))
    await settle()
    runs.end("1")
    await settle()
    assert runs.started == ["1", "2"]
    runs.end("2")
    assert later[0].notes == ["2", "end"]


async def test_many_instant_runs_do_not_recurse() -> None:
    queue = RunQueue()
    seen = [Seen(queue.queued("a", rx.just(number))) for number in range(2_000)]
    await seen[-1].over.wait()
    assert [each.notes for each in seen] == [[number, "end"] for number in range(2_000)]
    assert queue._tickets == {}


def test_runs_queue_in_virtual_time() -> None:
    scheduler = TestScheduler()
    queue = RunQueue()
    notes: list[tuple[float, str]] = []
    for name in ("first", "second"):
        source = rx.timer(10).pipe(rx_ops.map(partial(_named, name)))
        queue.queued("a", source).subscribe(
            lambda name: notes.append((scheduler.clock, name)), scheduler=scheduler
        )
    scheduler.start()
    assert notes == [(10, "first"), (20, "second")]


def _named(name: str, _: object) -> str:
    return name


async def test_virtual_time_inside_a_loop() -> None:
    test_runs_queue_in_virtual_time()
