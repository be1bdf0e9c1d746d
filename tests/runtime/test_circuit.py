"""Test the circuit of `fallback_to`: when it opens, is tried and closes, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen
from reactivex import Observable
from reactivex.testing import TestScheduler

from rxagents import Circuit, ConfigurationError, RateLimitError, ServerError, StreamChunk
from rxagents import operators as ops

SPARE = rx.of("spare")


class Host:
    """A source that fails while it is down, behind a circuit."""

    def __init__(self, circuit: Circuit, **arguments: Any) -> None:
        self.circuit = circuit
        self.error: Exception | None = ServerError("down")
        self.asked = 0
        self.stream: Observable[Any] = rx.defer(self._answer).pipe(
            ops.fallback_to(SPARE, circuit=circuit, **arguments)
        )

    def _answer(self, _: object) -> Observable[Any]:
        self.asked += 1
        return rx.of("host") if self.error is None else rx.throw(self.error)

    async def ask(self) -> Any:
        seen = Seen(self.stream)
        await seen.over.wait()
        return seen.notes[0]


async def test_opens_after_failures_and_closes_after_trial() -> None:
    host = Host(Circuit(failures=3, reset_after=30))
    for failures in (1, 2, 3):
        assert host.circuit.state == "closed"
        assert await host.ask() == "spare"
        assert host.circuit.failures == failures
    assert host.circuit.state == "open"
    assert host.circuit.opens_in == 30
    assert await host.ask() == "spare"
    assert host.asked == 3

    await asyncio.sleep(29)
    assert host.circuit.opens_in == 1
    await host.ask()
    assert host.asked == 3
    await asyncio.sleep(1)
    assert repr(host.circuit) == "Circuit(state='half_open', failures=3)"
    assert await host.ask() == "spare"
    assert host.asked == 4
    assert host.circuit.state == "open"

    host.error = None
    await asyncio.sleep(30)
    assert await host.ask() == "host"
    assert (host.circuit.state, host.circuit.failures) == ("closed", 0)
    assert await host.ask() == "host"


async def test_success_starts_the_count_again() -> None:
    host = Host(Circuit(failures=2))
    await host.ask()
    error, host.error = host.error, None
    await host.ask()
    host.error = error
    await host.ask()
    states = [host.circuit.state]
    await host.ask()
    assert [*states, host.circuit.state] == ["closed", "open"]


async def test_other_kinds_of_error_do_not_count() -> None:
    host = Host(Circuit(failures=1), on=RateLimitError)
    assert await host.ask() is host.error
    assert host.circuit.failures == 0
    host.error = RateLimitError("slow down")
    assert await host.ask() == "spare"
    assert host.circuit.state == "open"


async def test_one_subscription_at_a_time_tries() -> None:
    circuit, started = Circuit(failures=1, reset_after=10), []

    def pipe(source: Observable[Any]) -> Observable[Any]:
        return source.pipe(ops.fallback_to(SPARE, circuit=circuit))

    await Seen(pipe(rx.throw(ServerError("down")))).over.wait()
    await asyncio.sleep(10)
    slow = rx.defer(lambda _: started.append(1) or rx.never())  # type: ignore[func-returns-value]  # None is falsy
    first, second = Seen(pipe(slow)), Seen(pipe(slow))
    assert (len(started), first.notes, second.items) == (1, [], ["spare"])
    first.subscription.dispose()
    assert circuit.state == "half_open"
    third = Seen(pipe(slow))
    assert (len(started), third.notes) == (2, [])
    third.subscription.dispose()


async def test_dispose_after_content_is_a_success() -> None:
    circuit = Circuit(failures=1, reset_after=10)
    failing: Observable[Any] = rx.throw(ServerError("down"))
    await Seen(failing.pipe(ops.fallback_to(SPARE, circuit=circuit))).over.wait()
    await asyncio.sleep(10)
    items = [StreamChunk(metadata={"model": "m"}), StreamChunk("Hello")]
    for item, state in zip(items, ("half_open", "closed"), strict=True):
        stream: Observable[Any] = rx.concat(rx.of(item), rx.never())
        Seen(stream.pipe(ops.fallback_to(rx.never(), circuit=circuit))).subscription.dispose()
        assert circuit.state == state


async def test_failure_after_content_counts_and_passes() -> None:
    circuit, down = Circuit(failures=1), ServerError("down")
    cut: Observable[Any] = rx.concat(rx.of("text"), rx.throw(down))
    seen = Seen(cut.pipe(ops.fallback_to(SPARE, circuit=circuit)))
    await seen.over.wait()
    assert seen.notes == ["text", down]
    assert circuit.state == "open"


async def test_consumer_that_raises_is_no_failure() -> None:
    circuit = Circuit(failures=1)

    def fail(_: object) -> None:
        raise LookupError("the screen is gone")

    errors: list[Exception] = []
    rx.of("text").pipe(ops.fallback_to(SPARE, circuit=circuit)).subscribe(fail, errors.append)
    assert circuit.failures == 0


async def test_late_verdict_of_older_request_is_ignored() -> None:
    circuit = Circuit(failures=1, reset_after=10)
    slow, down = rx.subject.Subject[Any](), ServerError("down")
    old = Seen(slow.pipe(ops.fallback_to(SPARE, circuit=circuit)))
    await Seen(rx.throw(down).pipe(ops.fallback_to(SPARE, circuit=circuit))).over.wait()
    await asyncio.sleep(6)
    slow.on_error(down)
    assert old.items == ["spare"]
    assert circuit.opens_in == 4


def test_time_is_that_of_the_virtual_scheduler() -> None:
    scheduler, circuit = TestScheduler(), Circuit(failures=1, reset_after=100)
    host = Host(circuit)
    for time in (10, 50, 109, 111):
        scheduler.schedule_absolute(time, lambda *_: host.stream.subscribe(scheduler=scheduler))
    scheduler.start()
    assert host.asked == 2


def test_works_without_a_loop() -> None:
    host, seen = Host(Circuit(failures=1)), list[Any]()
    host.stream.subscribe(seen.append)
    host.stream.subscribe(seen.append)
    assert seen == ["spare", "spare"]
    assert host.asked == 1
    assert host.circuit.state == "open"


@given(
    outcomes=st.lists(st.sampled_from(["ok", "down", "wait"]), max_size=40),
    failures=st.integers(1, 4),
)
def test_source_is_asked_as_a_simple_model_says(outcomes: list[str], failures: int) -> None:
    """Compare with a model that counts failures in a row and the time since it opened."""
    scheduler, host = TestScheduler(), Host(Circuit(failures=failures, reset_after=10))
    count, opened, asked = 0, None, 0
    for number, outcome in enumerate(outcomes):
        time = 1 + number * 6
        host.error = ServerError("down") if outcome == "down" else None
        scheduler.advance_to(time)
        if outcome == "wait":
            continue
        host.stream.subscribe(scheduler=scheduler)
        if opened is None or time - opened >= 10:
            asked += 1
            count = count + 1 if outcome == "down" else 0
            if outcome == "ok":
                opened = None
            elif opened is not None or count >= failures:
                opened = time
        assert host.asked == asked


@pytest.mark.parametrize("options", [{"failures": 0}, {"reset_after": 0}, {"reset_after": "1"}])
def test_wrong_arguments_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"failures|reset_after"):
        Circuit(**options)
    with pytest.raises(ConfigurationError, match=r"circuit must be an rxagents\.Circuit"):
        ops.fallback_to(SPARE, circuit=3)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("on", [(), "RateLimitError", (3,)])
def test_wrong_kinds_are_refused(on: Any) -> None:
    with pytest.raises(ConfigurationError, match="on must be one or more classes"):
        ops.fallback_to(SPARE, on=on)
