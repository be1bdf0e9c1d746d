"""Scenario: the CPU time per item of each operator, as a multiple of reactivex's `map`.

The items are made beforehand and emitted from a plain loop inside a running event loop, like a
source that has read a burst. The measured time runs from the first item to the end of the stream
and includes a subscriber that counts. The operators take turns, round by round; each time is
divided by that of `map` in the same round, and the table shows the medians.

Every operator is measured with its case in tests/support/operator_cases.py, unless `typical` has
an input that is closer to its use.
"""

from __future__ import annotations

import asyncio
import gc
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import reactivex as rx
from msgspec import Struct
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable

import rxagents
from benchmarks.run import Run, in_fresh_process
from rxagents import StreamChunk, Token, ToolCallDelta
from rxagents import operators as ops
from rxagents.core.chunks import TextBuffers

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from operator_cases import CASES  # found only by the line above

Operator: TypeAlias = Callable[[Observable[Any]], Observable[Any]]

TOLERATED = 3.0
"""Multiples of `map` that an operator on the token path may cost without a reason."""

REASONS = {
    "accumulate": "makes a Response of each chunk",
    "coalesce": "keeps and joins each piece",
    "guard_window": "keeps each piece, and joins them for the check",
    "stop_at": "copies each chunk, which gets another content",
    "split_sentences": "reads every character; makes the sentences",
    "partial_json": "reads every character; makes a snapshot per piece",
    "partial_object": "partial_json, and an object type around each snapshot",
    "scan_steps": "reads every character; makes a Token per piece",
    "record": "encodes each item as JSON",
    "cached": "replay_bounded, and keeps each item with its time",
    "persist": "encodes each item as JSON, and keeps it",
    "from_recording": "reads and decodes JSON",
    "replay_bounded": "share_bounded, and numbers and keeps each item",
    "decode_ndjson": "splits bytes into lines",
    "decode_sse": "splits bytes into events",
    "smooth": "copies the chunk for each word; a timer per interval",
    "map_async": "a task per item; for functions that wait",
}
"""Why an operator costs more than `TOLERATED`."""

OFF_TOKEN_PATH = {"cached", "smooth", "replay_bounded", "map_async", "record", "from_recording",
                  "decode_sse", "decode_ndjson"}  # fmt: skip
"""Not every token passes them: they serve one subscriber of many, a screen, or bytes."""


def operator_names() -> list[str]:
    """Return the names of the operators that have a case in the tests."""
    return list(CASES)


class Work(Struct):
    """An operator and its input.

    Attributes:
        make: Returns the operator.
        items: The items that the source emits.
    """

    make: Callable[[], Operator]
    items: Sequence[Any]


def pieces_of(text: str, count: int) -> list[str]:
    """Return `count` pieces of four characters."""
    whole = text * (4 * count // len(text) + 1)
    return [whole[at : at + 4] for at in range(0, 4 * count, 4)]


def chunks_of(texts: Sequence[str]) -> list[StreamChunk]:
    """Return chunks as a provider makes them: one dict of metadata, the text so far shared."""
    buffers, metadata = TextBuffers(), {"model": "any", "id": "1"}
    return [
        buffers.tie(StreamChunk(text, index, metadata=metadata, timestamp=1.0))
        for index, text in enumerate(texts)
    ]


def works(count: int, folder: Path) -> dict[str, Work]:
    """Return every operator with its input of `count` items."""
    cases = {
        name: Work(partial(case.make, folder), list(islice(case.stream(), count)))
        for name, case in CASES.items()
    }
    return cases | typical(count, folder)


def typical(count: int, folder: Path) -> dict[str, Work]:
    """Return inputs that are closer to an operator's use than its case; and `from_recording`."""
    prose = pieces_of("The quick brown fox jumps over the lazy dog, and rests. ", count)
    chunks = chunks_of(prose)
    thinking = [StreamChunk(reasoning=text, index=at) for at, text in enumerate(prose)]
    react = chunks_of(
        pieces_of("Thought: I have to add these two numbers, and then more.\n", count)
    )
    number = '{"number": 12345, "text": "a few words that a model wrote"}, '
    array = ["[", *pieces_of(number, len(number) * (count // len(number))), "0]"]
    calls = [StreamChunk(tool_calls=(ToolCallDelta(0, arguments=text),)) for text in prose]
    tokens = [Token(text, timestamp=1.0) for text in prose]
    events = [b'data: {"t": "' + text.encode() + b'"}\n\n' for text in prose]
    lines = [b'{"t": "' + text.encode() + b'"}\n' for text in prose]
    return {
        "text": Work(ops.text, chunks),
        "reasoning": Work(ops.reasoning, thinking),
        "accumulate": Work(ops.accumulate, chunks),
        "collect": Work(ops.collect, chunks),
        "assemble_tool_calls": Work(ops.assemble_tool_calls, calls),
        "total_usage": Work(ops.total_usage, chunks),
        "resume_with": Work(lambda: ops.resume_with(rxagents.get_model("scripted:"), "Hi"), chunks),
        "stop_at": Work(lambda: ops.stop_at("\nObservation:"), chunks),
        "items": Work(lambda: ops.items("[]", Any), chunks_of(array)),
        "partial_json": Work(ops.partial_json, array),
        "partial_object": Work(lambda: ops.partial_object(list[Any]), array),
        "split_sentences": Work(ops.split_sentences, prose),
        "scan_steps": Work(ops.scan_steps, react),
        "run_tools": Work(lambda: ops.run_tools([]), chunks),
        "of_type": Work(lambda: ops.of_type(Token), tokens),
        "coalesce": Work(lambda: ops.coalesce(size=32), chunks),
        "smooth": Work(lambda: ops.smooth(1e-6, longest_lag=1e-6), chunks),
        "replay_bounded": Work(lambda: ops.replay_bounded(64), chunks),
        "map_async": Work(
            lambda: ops.map_async(same, overflow=rxagents.Overflow.DROP_OLDEST, capacity=count),
            chunks,
        ),
        "guard_window": Work(lambda: ops.guard_window(is_harmless, 64), chunks),
        "measure": Work(lambda: ops.measure(ignore), chunks),
        "trace": Work(lambda: ops.trace(**no_exporter()), chunks),
        "probe": Work(lambda: ops.probe("here"), chunks),
        "record": Work(lambda: ops.record(folder / "record.jsonl"), chunks),
        "from_recording": Work(lambda: recording(folder / "played.jsonl", chunks), chunks),
        "decode_sse": Work(ops.decode_sse, events),
        "decode_ndjson": Work(ops.decode_ndjson, lines),
    }


def ignore(_: object) -> None:
    """Do nothing."""


@cache
def no_exporter() -> dict[str, Any]:
    """Return providers that make spans and metrics, and send them nowhere."""
    return {"tracer_provider": TracerProvider(), "meter_provider": MeterProvider()}


def is_harmless(text: str) -> bool:
    """Return whether a certain word is missing."""
    return "password" not in text


async def same(item: Any) -> Any:
    """Return the item."""
    return item


def recording(path: Path, chunks: Sequence[StreamChunk]) -> Operator:
    """Return an operator that plays a recording of `chunks` and ignores its source."""
    if not path.exists():
        rx.from_iterable(chunks).pipe(ops.record(path)).subscribe()
    player = rxagents.from_recording(path, StreamChunk, speed=math.inf)
    return lambda _: player


class Source(Observable[Any]):
    """Emits on request."""

    def __init__(self) -> None:
        super().__init__()
        self.observer: abc.ObserverBase[Any] | None = None

    def _subscribe_core(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self.observer = observer
        return Disposable()

    def emit(self, items: Sequence[Any]) -> None:
        """Emit the items and complete."""
        if self.observer is not None:
            on_next = self.observer.on_next
            for item in items:
                on_next(item)
            self.observer.on_completed()


async def nanoseconds(operator: Operator, items: Sequence[Any]) -> float:
    """Return the CPU time of one item, in nanoseconds."""
    source, seen = Source(), 0
    done = asyncio.get_running_loop().create_future()

    def count(_: object) -> None:
        nonlocal seen
        seen += 1

    gc.collect()
    begun = time.process_time_ns()
    operator(source).subscribe(count, done.set_exception, lambda: done.set_result(None))
    await asyncio.sleep(0.001)  # `cost` and `trace` subscribe in a later iteration
    is_over = done.done()  # `from_recording` does not wait for the source
    start = begun if is_over else time.process_time_ns()
    source.emit(items)
    await done
    return (time.process_time_ns() - start) / len(items)


async def measure(contenders: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Measure the operators in turn; return the nanoseconds of an item by round."""
    chunks = contenders["text"].items
    times: dict[str, list[float]] = {"map": [], **{name: [] for name in contenders}}
    for number in range(rounds + 1):
        base = await nanoseconds(rx_ops.map(lambda item: item), chunks)
        for name, work in contenders.items():
            spent = await nanoseconds(work.make(), work.items)
            if number:  # the first round is a warm-up
                times[name].append(spent)
        if number:
            times["map"].append(base)
    return times


def nanoseconds_of_all(items: int, rounds: int, only: list[str]) -> dict[str, list[float]]:
    """Measure the operators; return the nanoseconds of an item."""
    with tempfile.TemporaryDirectory() as folder:
        contenders = works(items, Path(folder))
        if only:
            contenders = {name: contenders[name] for name in ("text", *only)}
        return asyncio.run(measure(contenders, rounds))


def operators(run: Run) -> None:
    """Measure every operator."""
    items, rounds = 10_000, run.choose_rounds(3, 9)
    found: dict[str, list[float]] = in_fresh_process(
        f"{__name__}:nanoseconds_of_all", items, rounds, []
    )
    for name, times in sorted(found.items(), key=lambda entry: statistics.median(entry[1])):
        for value in times:
            run.add("an item", name, "ns an item", value)
