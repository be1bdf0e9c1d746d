"""`text()` and `collect()` directly behind a model: as behind its chunks, which are not made."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from faults import LAST, Fault, chunk, faults, head
from faulty_server import Act, Cue, FaultyServer
from folding import fold
from matrix import chosen, only_full
from observing import FAILURE, Seen, fail, settle
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from wires import WIRES, SpokenWire, any_wire, any_wire_of

import rxagents
from rxagents import Budget, StreamChunk, Timeouts
from rxagents import operators as ops
from rxagents.core.chunks import TextBurst
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.factories import Subscribe
from rxagents.runtime.listening import Operation, listening
from rxagents.wire.chunk_builder import ChunkBuilder

SECONDS = 5
LIMITS = Timeouts(connect=2, first=0.3, idle=0.3)
WORDS = ["one", " two", " three", " four", " five", " six"]
Operator = Callable[[Observable[StreamChunk]], Observable[Any]]
wire_with_bursts = any_wire_of("chat completions", "anthropic", "openai responses", "ollama")


def answer(wire: SpokenWire, *reads: list[str], end: bytes | None = None) -> Act:
    """Return an answer whose words come in these reads, after some that show the wire's form."""
    act: list[bytes | Cue] = [
        head(200, b"content-type: " + wire.content_type, b"transfer-encoding: chunked"),
        chunk(wire.start() + wire.text("a")),
        Cue.PAUSE,
        chunk(wire.text("b")),
        Cue.PAUSE,
    ]
    for words in reads:
        act += [chunk(b"".join(map(wire.text, words))), Cue.PAUSE]
    return [*act, chunk(wire.finish() + wire.done() if end is None else end) + LAST]


def deltas(source: Observable[StreamChunk]) -> Observable[str]:
    """Pick the text out of each chunk, as `text()` does."""

    def delta(chunk: StreamChunk) -> str:
        return chunk.delta if chunk.choice == 0 else ""

    return source.pipe(rx_ops.map(delta), rx_ops.filter(bool))


def folded(source: Observable[StreamChunk]) -> Observable[Any]:
    """Fold the chunks, as `collect()` does."""
    return source.pipe(rx_ops.to_list(), rx_ops.map(fold))


async def outcome(
    wire: SpokenWire, acts: list[Act], operator: Operator, **arguments: Any
) -> list[Any]:
    """Return what a subscriber sees, the notes of the error, and the number of requests."""
    async with FaultyServer(*acts) as server:
        async with wire.model(server.url, **arguments) as llm:
            seen = Seen(operator(llm.chat_stream("hi")))
            await asyncio.wait_for(seen.over.wait(), SECONDS)
        await asyncio.wait_for(server.all_left(), SECONDS)
        shown = [re.sub(rf":{server.port}|0x\w+", "", repr(note)) for note in seen.notes]
        notes = getattr(seen.error, "__notes__", [])
        failed = getattr(seen.error, "failed_attempts", ())
        return [*shown, notes, str(failed).replace(str(server.port), ""), len(server.requests)]


@pytest.fixture
def bursts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return a list of the texts of each burst that a parser makes."""
    made: list[list[str]] = []
    emit_burst = ChunkBuilder.emit_burst

    def noted(self: ChunkBuilder, texts: list[str], choice: int) -> None:
        made.append(texts)
        emit_burst(self, texts, choice)

    monkeypatch.setattr(ChunkBuilder, "emit_burst", noted)
    return made


def _faults() -> list[Any]:
    """Return each fault with text on one wire: every fourth one, and the others for `--full`."""
    on_wires: dict[str, list[tuple[SpokenWire, Fault]]] = defaultdict(list)
    for wire in WIRES:
        for fault in faults(wire, "http://127.0.0.1:1/elsewhere"):
            if fault.text and not fault.name.startswith("endless"):  # those are slow
                on_wires[fault.name].append((wire, fault))
    return [
        pytest.param(*chosen(name, on_wire), id=name, marks=() if n % 4 == 0 else only_full)
        for n, (name, on_wire) in enumerate(on_wires.items())
    ]


@pytest.mark.parametrize(("wire", "fault"), _faults())
async def test_faults_look_the_same_without_chunks(
    wire: SpokenWire, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxagents.providers.retry.backoff", lambda attempt: 0.001)
    arguments = {"timeout": LIMITS, "max_retries": 1, **fault.arguments}
    acts = list(fault.acts)
    seen = [
        await outcome(wire, acts, operator, **arguments)
        for operator in (deltas, ops.text(), folded, ops.collect())
    ]
    assert seen[1] == seen[0]
    assert seen[3] == seen[2]


@wire_with_bursts
@pytest.mark.parametrize("kind", ["none", "invalid", "overloaded", "cut"])
async def test_error_follows_the_texts_of_its_read(
    wire: SpokenWire, kind: str, bursts: list[list[str]]
) -> None:
    if kind == "none":
        act = answer(wire, WORDS[:4], WORDS[4:])
    else:
        rest = b"" if kind == "cut" else wire.error(kind)
        act = answer(wire, WORDS[:4], end=b"".join(map(wire.text, WORDS[4:])) + rest)
    expected = await outcome(wire, [act], deltas)
    assert not bursts
    assert await outcome(wire, [act], ops.text()) == expected
    assert bursts
    assert await outcome(wire, [act], ops.collect()) == await outcome(wire, [act], folded)
    assert expected[: len(WORDS) + 2] == [*map(repr, ["a", "b", *WORDS])]


@wire_with_bursts
async def test_chat_and_collect_take_bursts(wire: SpokenWire, bursts: list[list[str]]) -> None:
    async with FaultyServer(answer(wire, WORDS)) as server, wire.model(server.url) as llm:
        whole = fold(await llm.chat_stream("hi").pipe(rx_ops.to_list()))
        assert not bursts
        assert await llm.chat_stream("hi").pipe(ops.collect()) == whole
        assert bursts.pop() == WORDS
        assert await llm.chat("hi") == whole
        assert bursts.pop() == WORDS
        assert whole.content == "ab" + "".join(WORDS)


@any_wire
async def test_other_choice_has_no_text(wire: SpokenWire) -> None:
    assert await outcome(wire, [answer(wire, WORDS)], ops.text(1)) == ["'end'", [], "()", 1]


async def test_operators_between_get_single_chunks(bursts: list[list[str]]) -> None:
    chunks: list[StreamChunk] = []
    operator = rx_ops.do_action(chunks.append)
    seen = await outcome(
        WIRES[0], [answer(WIRES[0], WORDS)], lambda s: s.pipe(operator, ops.text())
    )
    assert seen[:-3] == [*map(repr, ["a", "b", *WORDS]), "'end'"]
    assert {type(chunk) for chunk in chunks} == {StreamChunk}
    assert not bursts


@wire_with_bursts
async def test_text_waits_between_two_texts_of_a_read(
    wire: SpokenWire, bursts: list[list[str]]
) -> None:
    texts: list[str] = []
    bridge = Bridge(asyncio.get_running_loop(), lambda _: None)
    arrived, over = asyncio.Event(), asyncio.Event()

    def on_next(text: str) -> None:
        texts.append(text)
        arrived.set()
        bridge.gate.close()

    async with FaultyServer(answer(wire, WORDS)) as server, wire.model(server.url) as llm:
        llm.chat_stream("hi").pipe(ops.text()).subscribe(
            on_next, on_completed=over.set, scheduler=bridge.scheduler
        )
        for count in range(1, len(WORDS) + 3):
            await asyncio.wait_for(arrived.wait(), SECONDS)
            arrived.clear()
            await settle()
            assert len(texts) == count
            bridge.gate.open()
        await asyncio.wait_for(over.wait(), SECONDS)
    assert texts == ["a", "b", *WORDS]
    assert bursts == [WORDS]


@wire_with_bursts
async def test_nothing_follows_dispose_in_a_burst(
    wire: SpokenWire, bursts: list[list[str]]
) -> None:
    def leave(text: str) -> None:
        if text == WORDS[1]:
            seen.subscription.dispose()

    async with FaultyServer(answer(wire, WORDS)) as server, wire.model(server.url) as llm:
        seen = Seen(llm.chat_stream("hi").pipe(ops.text()), leave)
        await asyncio.wait_for(seen.first.wait(), SECONDS)
        await asyncio.wait_for(server.all_left(), SECONDS)
    assert seen.notes == ["a", "b", *WORDS[:2]]
    assert bursts == [WORDS]


async def test_raising_consumer_is_reported_once() -> None:
    loop, reported = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    wire = WIRES[0]
    async with FaultyServer(answer(wire, WORDS)) as server, wire.model(server.url) as llm:
        seen = Seen(llm.chat_stream("hi").pipe(ops.text()), fail)
        await asyncio.wait_for(seen.first.wait(), SECONDS)
        await asyncio.wait_for(server.all_left(), SECONDS)
        await settle()
        assert reported == [FAILURE]
    assert seen.notes == ["a"]


async def test_error_names_the_call_of_the_model() -> None:
    wire = WIRES[0]
    async with FaultyServer(answer(wire, WORDS, end=b"")) as server, wire.model(server.url) as llm:
        for operator in (ops.text(), ops.collect()):
            seen = Seen(llm.chat_stream("hi").pipe(operator))
            await asyncio.wait_for(seen.over.wait(), SECONDS)
            assert isinstance(seen.error, rxagents.TruncatedStreamError)
            (note,) = seen.error.__notes__
            assert re.match(r"OpenAI\('m'\)\.chat_stream at tests/http/test_text_path\.py", note)


def test_outside_a_loop_the_error_is_delivered() -> None:
    errors: list[Exception] = []
    for operator in (ops.text(), ops.collect()):
        WIRES[0].model("http://localhost").chat_stream("hi").pipe(operator).subscribe(
            on_error=errors.append
        )
    assert [type(error) for error in errors] == [rxagents.ConfigurationError] * 2
    assert all("rxagents.run" in str(error) for error in errors)


class _Recorder:
    """A listener that records the types of the items."""

    def __init__(self) -> None:
        self.types: list[type] = []

    def subscribe(
        self,
        operation: Operation,
        subscribe: Subscribe,
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None,
    ) -> abc.DisposableBase:
        recorded = Observable(subscribe).pipe(
            rx_ops.do_action(lambda item: self.types.append(type(item)))
        )
        return recorded.subscribe(observer, scheduler=scheduler)


@wire_with_bursts
async def test_listener_gets_every_chunk(wire: SpokenWire, bursts: list[list[str]]) -> None:
    recorder = _Recorder()
    async with FaultyServer(answer(wire, WORDS)) as server, wire.model(server.url) as llm:
        with listening(recorder):
            texts = await llm.chat_stream("hi").pipe(ops.text(), rx_ops.to_list())
            assert len(recorder.types) >= len(texts)
            response = await llm.chat("hi")
    assert texts == ["a", "b", *WORDS]
    assert response.content == "".join(texts)
    assert set(recorder.types) == {StreamChunk}
    assert len(recorder.types) >= 2 * len(texts)
    assert not bursts


@wire_with_bursts
async def test_budget_counts_every_text(wire: SpokenWire, bursts: list[list[str]]) -> None:
    spent: list[object] = []
    for operator in (deltas, ops.text(), ops.collect()):
        budget = Budget(tokens=1_000)
        await outcome(wire, [answer(wire, WORDS, end=b"")], operator, budget=budget)
        spent.append(budget.spent)
    assert spent[0] == spent[1] == spent[2]
    assert not bursts


@wire_with_bursts
async def test_read_with_a_burst_has_one_item(wire: SpokenWire) -> None:
    async with FaultyServer(answer(wire, WORDS)) as server, wire.model(server.url) as llm:
        stream: Any = llm.chat_stream("hi")
        reads = await stream.by_read(lambda chunks: [chunks]).pipe(rx_ops.to_list())
    (burst,) = [chunk for read in reads for chunk in read if type(chunk) is TextBurst]
    assert burst.deltas == WORDS
