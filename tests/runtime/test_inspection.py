"""Test `rxagents.inspect`: what it says of a pipe with probes."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
import reactivex as rx
from observing import settle
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.subject import Subject

import rxagents
from rxagents import InspectedPipe, Inspection, StreamChunk, Token, ToolCall
from rxagents import operators as ops
from rxagents.runtime.probing import live_meters
from rxagents.testing import Reply, ScriptedLLM
from rxagents.testing.virtual_time import virtual_loop

STAGES = 10


@pytest.fixture(autouse=True)
def no_probe_is_left() -> Iterator[None]:
    gc.collect()
    yield
    gc.collect()
    assert live_meters() == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in the virtual time of the running loop."""

    def virtual_time() -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0  # the loop has ended

    monkeypatch.setattr(time, "perf_counter", virtual_time)


def ticks(count: int, seconds: float) -> Callable[[], AsyncIterator[int]]:
    async def ticks() -> AsyncIterator[int]:
        for number in range(count):
            yield number
            await asyncio.sleep(seconds)

    return ticks


def ten_stages(source: Observable[int], slow: int, make: Any) -> Observable[Any]:
    """Put probes p0 to p9 into a pipe; `make()` is the operator before that of number `slow`."""
    for number in range(STAGES):
        if number == slow:
            source = source.pipe(make())
        else:
            source = source.pipe(rx_ops.map(lambda item: item))
        source = source.pipe(ops.probe(f"p{number}"))
    return source


def hold(seconds: float) -> Callable[[Any], Any]:
    """Return a function that blocks the loop, in virtual time, for each item."""

    def hold(item: Any) -> Any:
        virtual_loop().hold(seconds)
        return item

    return hold


async def wait(item: Any) -> Any:
    await asyncio.sleep(0.5)
    return item


def only_pipe() -> InspectedPipe:
    (pipe,) = rxagents.inspect().pipes
    return pipe


async def inspected(stream: Observable[Any], seconds: float) -> InspectedPipe:
    """Return what is known of a stream that a plain callback reads, after some time."""
    subscription = stream.subscribe(lambda _: None)
    await asyncio.sleep(seconds)
    try:
        return only_pipe()
    finally:
        subscription.dispose()
        await settle()


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("slow", [1, 5, 9])
async def test_slow_synchronous_stage_is_named(slow: int) -> None:
    source = rxagents.from_aiter(ticks(100, 0.1))
    pipe = await inspected(ten_stages(source, slow, lambda: rx_ops.map(hold(0.5))), 20)
    assert str(pipe.slowest) == f"p{slow - 1} -> p{slow} (reactivex operator)"
    assert [probe.name for probe in pipe.probes] == [f"p{number}" for number in range(STAGES)]
    assert pipe.slowest is not None
    assert pipe.slowest.share == pytest.approx(5 / 6, rel=0.05)
    assert sum(stage.share for stage in pipe.stages) == pytest.approx(1)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("slow", [1, 5, 9])
async def test_slow_asynchronous_stage_is_named(slow: int) -> None:
    source = rxagents.from_aiter(ticks(10_000, 0.01))
    stage = lambda: ops.map_async(wait, capacity=4)  # noqa: E731 - a new one each time
    pipe = await inspected(ten_stages(source, slow, stage), 20)
    assert str(pipe.slowest) == f"p{slow - 1} -> p{slow} (map_async)"
    buffered = [probe.buffered for probe in pipe.probes]
    assert buffered[slow - 1] in {3, 4}
    assert buffered[slow - 1] is not None
    assert buffered.count(None) == STAGES - 1


@pytest.mark.usefixtures("clock")
async def test_slower_of_two_asynchronous_stages_is_named() -> None:
    async def brief(item: Any) -> Any:
        await asyncio.sleep(0.1)
        return item

    stream = rxagents.from_aiter(ticks(10_000, 0.01)).pipe(
        ops.probe("a"),
        ops.map_async(brief, capacity=4),
        ops.probe("b"),
        ops.map_async(wait, capacity=4),
        ops.probe("c"),
    )
    assert str((await inspected(stream, 60)).slowest) == "b -> c (map_async)"


@pytest.mark.usefixtures("clock")
async def test_slow_source_is_named() -> None:
    source = rxagents.from_aiter(ticks(100, 1))
    pipe = await inspected(ten_stages(source, 4, lambda: rx_ops.map(hold(0.1))), 20)
    assert str(pipe.slowest) == "source -> p0 (from_aiter, reactivex operator)"


@pytest.mark.usefixtures("clock")
async def test_slow_subscriber_is_named() -> None:
    stream = ten_stages(rxagents.from_aiter(ticks(100, 0.01)), 4, lambda: rx_ops.map(hold(0.1)))
    subscription = stream.subscribe(hold(1))
    await asyncio.sleep(20)
    assert str(only_pipe().slowest) == "p9 -> subscriber"
    subscription.dispose()


@pytest.mark.usefixtures("clock")
async def test_item_that_is_being_handled_counts() -> None:
    found: list[InspectedPipe] = []

    def on_next(_: object) -> None:
        virtual_loop().hold(3)
        found.append(only_pipe())

    source: Subject[int] = Subject()
    subscription = source.pipe(ops.probe("a"), ops.probe("b")).subscribe(on_next)
    await asyncio.sleep(1)
    source.on_next(1)
    (pipe,) = found
    assert str(pipe.slowest) == "b -> subscriber"
    assert [probe.blocked for probe in pipe.probes] == [3, 3]
    assert [probe.downstream for probe in pipe.probes] == [3, 3]
    subscription.dispose()


@pytest.mark.usefixtures("clock")
async def test_sources_with_one_gate_are_blocked_once() -> None:
    sources = [rxagents.from_aiter(ticks(10_000, 0.01)).pipe(ops.probe(name)) for name in "ab"]
    stream = rx.merge(*sources).pipe(ops.map_async(wait, capacity=4), ops.probe("c"))
    pipe = await inspected(stream, 20)
    seconds = {stage.after: stage.seconds for stage in pipe.stages if stage.before == "c"}
    assert seconds["a, b"] == pytest.approx(20, abs=1)


@pytest.mark.usefixtures("clock")
async def test_slow_reader_is_named() -> None:
    stream = ten_stages(rxagents.from_aiter(ticks(100, 0.01)), 4, lambda: rx_ops.map(hold(0.01)))
    async with rxagents.to_aiter(stream, capacity=2) as items:
        async for item in items:
            await asyncio.sleep(1)
            if item == 9:
                break
        assert str(only_pipe().slowest) == "p9 -> subscriber"


@pytest.mark.usefixtures("clock")
async def test_waiting_items_blame_the_stage_after_them() -> None:
    async def forever(_: Any) -> Any:
        await asyncio.Event().wait()

    stream = rxagents.from_aiter(ticks(3, 0)).pipe(
        rx_ops.concat(rx.never()), ops.probe("a"), ops.map_async(forever), ops.probe("b")
    )
    pipe = await inspected(stream, 5)
    assert str(pipe.slowest) == "a -> b (map_async)"
    assert pipe.probes[0].gated == 0
    assert pipe.probes[0].buffered == 1


@pytest.mark.usefixtures("clock")
async def test_sources_one_after_the_other_are_one_stage() -> None:
    def turns(_: Any) -> Observable[int]:
        turn = rxagents.from_aiter(ticks(4, 1)).pipe(ops.probe("model"))
        return rx.concat(*[turn] * 5).pipe(rx_ops.map(hold(0.1)), ops.probe("answer"))

    pipe = await inspected(rx.defer(turns), 18)
    assert [probe.name for probe in pipe.probes] == ["model", "answer"]
    assert pipe.probes[0].items < pipe.probes[1].items
    seconds = {str(stage): stage.seconds for stage in pipe.stages}
    past = pipe.stages[0]
    assert str(past) == "source -> model (from_aiter)"
    assert past.seconds == pytest.approx(16, rel=0.1)
    assert seconds["model -> answer"] == pytest.approx(1.7, rel=0.1)


@pytest.mark.usefixtures("clock")
async def test_stream_made_for_an_item_feeds_the_next_probe() -> None:
    def inner(_: int) -> Observable[int]:
        return rxagents.from_aiter(ticks(100, 1)).pipe(ops.probe("inner"))

    stream = rxagents.from_aiter(ticks(1, 100)).pipe(
        ops.probe("outer"), rx_ops.flat_map(inner), ops.probe("result")
    )
    pipe = await inspected(stream, 3.5)
    numbers = {probe.name: probe.number for probe in pipe.probes}
    feeds = {probe.name: probe.feeds for probe in pipe.probes}
    assert feeds == {"outer": numbers["result"], "inner": numbers["result"], "result": None}
    assert [(stage.after, stage.before) for stage in pipe.stages] == [
        ("source", "outer"),
        ("source", "inner"),
        ("outer, inner", "result"),
        ("result", "subscriber"),
    ]


async def test_streams_apart_are_pipes_apart() -> None:
    streams = [rx.never().pipe(ops.probe(name)).subscribe() for name in "ab"]
    assert [[probe.name for probe in pipe.probes] for pipe in rxagents.inspect().pipes] == [
        ["a"],
        ["b"],
    ]
    for stream in streams:
        stream.dispose()


def test_text_is_shown_only_when_asked_for() -> None:
    source: Subject[Any] = Subject()
    subscription = source.pipe(ops.probe("here")).subscribe()
    for item, kind, text in [
        (StreamChunk("se\ncret"), "StreamChunk(7)", "se cret"),
        (Token("secret"), "Token(6)", "secret"),
        ("s" * 200, "str(200)", "s" * 79 + "…"),
        ("\x1b[31ma\x00\u202eb", "str(9)", "[31ma b"),
        (b"secret", "bytes(6)", "b'secret'"),
        ([1, 2], "list(2)", "[1, 2]"),
        (7, "int", "7"),
        (Broken(), "Broken", "<Broken instance at"),
    ]:
        source.on_next(item)
        encoded = msgspec.json.encode(rxagents.inspect()).decode()
        assert only_pipe().probes[0].last == kind
        assert "cret" not in encoded
        shown = rxagents.inspect(items=True).pipes[0].probes[0].text
        assert (shown or "").startswith(text)
    subscription.dispose()


class Broken:
    def __repr__(self) -> str:
        raise LookupError


def test_snapshot_survives_json() -> None:
    subscription = rx.concat(rx.of(1), rx.never()).pipe(ops.probe("here")).subscribe()
    snapshot = rxagents.inspect(items=True)
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Inspection) == snapshot
    subscription.dispose()


@pytest.mark.usefixtures("clock")
async def test_difference_of_snapshots_has_recent_rates() -> None:
    source: Subject[int] = Subject()
    delay = 0.0
    slow = rx_ops.map(lambda item: hold(delay)(item))
    subscription = source.pipe(ops.probe("a"), slow, ops.probe("b")).subscribe()
    await asyncio.sleep(10)
    for _ in range(5):
        source.on_next(1)
    earlier, delay = rxagents.inspect(), 1.0
    for _ in range(3):
        source.on_next(1)
    await asyncio.sleep(1)
    later = msgspec.structs.replace(rxagents.inspect(), time=earlier.time + 4)
    assert str(later.pipes[0].slowest) == "source -> a"
    (recent,) = later.since(earlier).pipes
    assert str(recent.slowest) == "a -> b"
    assert [probe.rate for probe in recent.probes] == [0.75, 0.75]
    subscription.dispose()


@pytest.mark.usefixtures("clock")
async def test_table_has_a_row_for_each_probe() -> None:
    source = rxagents.from_aiter(ticks(1000, 0.01))
    stream = source.pipe(ops.probe("a"), ops.map_async(wait, capacity=4), ops.probe("b"))
    subscription = stream.subscribe()
    await asyncio.sleep(10.04)
    assert str(rxagents.inspect()) == (
        "slowest: a -> b (map_async), 98% of the time\n"
        "probe  items  per s     age  first     idle    gap    own  blocked  buffered  last\n"
        "a         26    2.6  10.0 s   0 us  20.0 ms  1.0 s  0.2 s    9.8 s         4  int\n"
        "b         20    2.0  10.0 s  0.5 s  40.0 ms  0.5 s  9.8 s     0 us            int"
    )
    subscription.dispose()
    await settle()


def test_item_inside_of_the_first_item_is_no_gap() -> None:
    source: Subject[int] = Subject()

    def emit_next(number: int) -> None:
        if number < 3:
            source.on_next(number + 1)

    subscription = source.pipe(ops.probe("a")).subscribe(emit_next)
    source.on_next(1)
    (probe,) = rxagents.inspect().pipes[0].probes
    assert (probe.items, probe.longest_gap) == (3, 0)
    assert "a " in str(rxagents.inspect())
    subscription.dispose()


def test_table_hides_control_characters_of_names() -> None:
    subscription = rx.never().pipe(ops.probe("a\n\x1b[31mb")).subscribe()
    _, _, row = str(rxagents.inspect()).splitlines()
    assert row.startswith("a [31mb ")
    subscription.dispose()


def test_number_of_pipes_is_limited() -> None:
    streams = [rx.never().pipe(ops.probe(str(number))).subscribe() for number in range(3)]
    found = rxagents.inspect(max_pipes=2)
    assert [pipe.probes[0].name for pipe in found.pipes] == ["0", "1"]
    assert found.left_out == 1
    for stream in streams:
        stream.dispose()
    with pytest.raises(rxagents.ConfigurationError, match="max_pipes"):
        rxagents.inspect(max_pipes=0)


@pytest.mark.usefixtures("clock")
async def test_stream_of_a_tool_feeds_the_run() -> None:
    @rxagents.tool
    def count() -> Observable[int]:
        """Count."""
        return rxagents.from_aiter(ticks(100, 1)).pipe(ops.probe("tool"))

    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("1", "count", "{}")]), "Done.")
    run = rxagents.FunctionAgent(llm, [count]).run_stream("Count.").pipe(ops.probe("run"))
    pipe = await inspected(run, 5)
    assert [probe.name for probe in pipe.probes] == ["tool", "run"]
    assert pipe.probes[0].feeds == pipe.probes[1].number


def test_table_without_probes_says_so() -> None:
    assert str(rxagents.inspect()) == "No stream with a probe is subscribed to."
