"""One case for each operator: how to make it, and what its source emits.

The laws of all operators run on them, and benchmarks/operators.py measures them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import reactivex as rx
from msgspec import Struct
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents import Answer, EventLog, KillSwitch, Price, Token, ToolCall
from rxagents import operators as ops
from rxagents.core.chunks import StreamChunk, ToolCallDelta
from rxagents.testing import ScriptedLLM

Operator = Callable[[Observable[Any]], Observable[Any]]


def view(item: Any) -> Any:
    """Return an output in a short form for comparison."""
    return getattr(item, "content", None) or getattr(item, "data", None) or item


class Case(Struct):
    """An operator and the items of its source.

    Attributes:
        make: Returns the operator; the argument is an empty folder for its files.
        items: The source's items; those after the first are repeated without end.
    """

    make: Callable[[Path], Operator]
    items: tuple[Any, ...]

    def stream(self) -> Iterator[Any]:
        """Yield the source's items, without end."""
        first, *rest = self.items
        return itertools.chain([first], itertools.cycle(rest or [first]))


def _always(operator: Callable[[], Operator]) -> Callable[[Path], Operator]:
    return lambda _: operator()


async def _same(item: Any) -> Any:
    return item


async def _add(a: int, b: int) -> int:
    """Add."""
    return a + b


def _ignore(_: object) -> None: ...


def _new_key() -> str:
    return uuid.uuid4().hex


def _same_text(text: str) -> str:
    return text


def _is_kept(text: str) -> bool:
    return text != ""


def _last(_: str, text: str) -> str:
    return text


def _harmless(_: str) -> bool:
    return True


class _Parrot:
    """An agent that repeats what it is told."""

    def run_stream(self, task: Any) -> Observable[Any]:
        return rx.of(Answer(task))


def _first(_: list[Any]) -> int:
    return 0


def _never_true(_: Exception) -> bool:
    return False


def _never() -> Observable[Any]:
    return rx.never()


_PRICES = {"scripted": Price(input=1, output=2)}
_CHUNKS = (StreamChunk("Hel"), StreamChunk("lo "))
_TEXTS = ("Hello. ", "You. ")
_ARRAY = ("[", "1, ")
_CALL = ToolCallDelta(0, "call_1", "_add", '{"a": 1, "b": 2}', sealed=True)
_CALLS = (StreamChunk("Hel"), StreamChunk(tool_calls=(_CALL,)))

CASES: dict[str, Case] = {
    "decode_sse": Case(_always(ops.decode_sse), (b"data: a\n\nda", b"ta: b\n\nda")),
    "decode_ndjson": Case(_always(ops.decode_ndjson), (b'"a"\n', b'"b"\n')),
    "text": Case(_always(ops.text), _CHUNKS),
    "reasoning": Case(_always(ops.reasoning), (StreamChunk(reasoning="hm"),)),
    "accumulate": Case(_always(ops.accumulate), _CHUNKS),
    "collect": Case(_always(ops.collect), _CHUNKS),
    "assemble_tool_calls": Case(_always(ops.assemble_tool_calls), _CALLS),
    "total_usage": Case(_always(ops.total_usage), _CHUNKS),
    "stop_at": Case(_always(lambda: ops.stop_at("END")), _CHUNKS),
    "partial_json": Case(_always(ops.partial_json), _ARRAY),
    "partial_object": Case(_always(lambda: ops.partial_object(list[int])), _ARRAY),
    "items": Case(_always(lambda: ops.items("[]", int)), (StreamChunk("["), StreamChunk("1, "))),
    "check_items": Case(
        _always(lambda: ops.check_items("[]", int)), (StreamChunk("["), StreamChunk("1, "))
    ),
    "split_sentences": Case(_always(ops.split_sentences), _TEXTS),
    "scan_steps": Case(_always(ops.scan_steps), (StreamChunk("Thought: a\n"), StreamChunk("b\n"))),
    "converse": Case(_always(lambda: ops.converse(_Parrot())), _TEXTS),
    "run_tools": Case(_always(lambda: ops.run_tools([_add])), (*_CALLS, StreamChunk("lo"))),
    "of_type": Case(_always(lambda: ops.of_type(Token)), (Token("a"), ToolCall("1", "add", "{}"))),
    "timeout_first": Case(_always(lambda: ops.timeout_first(300)), _TEXTS),
    "timeout_idle": Case(_always(lambda: ops.timeout_idle(300)), _TEXTS),
    "timeout_total": Case(_always(lambda: ops.timeout_total(300)), _TEXTS),
    "retry_with_backoff": Case(_always(ops.retry_with_backoff), _CHUNKS),
    "fallback_to": Case(_always(lambda: ops.fallback_to(_never())), _CHUNKS),
    "resume_with": Case(
        _always(lambda: ops.resume_with(ScriptedLLM(), "hi", resume_if=_never_true)), _CHUNKS
    ),
    "best_of": Case(_always(lambda: ops.best_of(1, _first)), _CHUNKS),
    "hedge": Case(_always(lambda: ops.hedge(_never(), after=300)), _CHUNKS),
    "fuse": Case(_always(lambda: ops.fuse(map=_same_text, filter=_is_kept, scan=_last)), _TEXTS),
    "coalesce": Case(_always(lambda: ops.coalesce(20)), _TEXTS),
    "smooth": Case(_always(lambda: ops.smooth(10, longest_lag=100)), ("a b", " c")),
    "share_bounded": Case(_always(ops.share_bounded), _TEXTS),
    "replay_bounded": Case(_always(lambda: ops.replay_bounded(4)), _TEXTS),
    "map_async": Case(_always(lambda: ops.map_async(_same)), _TEXTS),
    "pause_when": Case(_always(lambda: ops.pause_when(_never())), _TEXTS),
    "heartbeat": Case(_always(lambda: ops.heartbeat(200_000, str)), _TEXTS),
    "stop_with": Case(_always(lambda: ops.stop_with(KillSwitch())), _TEXTS),
    "guard_window": Case(_always(lambda: ops.guard_window(_harmless, 3)), _TEXTS),
    "tap_safely": Case(_always(lambda: ops.tap_safely(_ignore)), _TEXTS),
    "log": Case(_always(lambda: ops.log("here")), _TEXTS),
    "checkpoint": Case(_always(lambda: ops.checkpoint("here")), _TEXTS),
    "measure": Case(_always(lambda: ops.measure(_ignore)), _TEXTS),
    "trace": Case(_always(ops.trace), _TEXTS),
    "probe": Case(_always(lambda: ops.probe("here")), _TEXTS),
    "cost": Case(_always(lambda: ops.cost(_ignore, prices=_PRICES)), _TEXTS),
    "record": Case(lambda folder: ops.record(folder / "recorded.jsonl"), _TEXTS),
    "encode_sse": Case(_always(ops.encode_sse), _TEXTS),
    "encode_agui": Case(_always(lambda: ops.encode_agui(thread_id="t", run_id="r")), (Token("a"),)),
    "encode_vercel": Case(_always(lambda: ops.encode_vercel(message_id="m")), (Token("a"),)),
    "cached": Case(lambda _: ops.cached(EventLog(), _new_key, type=str), _TEXTS),
    "persist": Case(lambda _: ops.persist(EventLog(), _new_key), _TEXTS),
}

ENCODERS = {"encode_sse", "encode_agui", "encode_vercel"}
"""They encode a failure as an item, as `rx_ops.materialize` does, and complete."""

SHARED = {"share_bounded", "replay_bounded"}
"""Their subscriptions share one run of the source, by intent."""


class Script:
    """A source that follows a script, and counts its subscriptions.

    Args:
        case: The case whose items it emits.
        steps: Seconds to wait, and the action then: emit (`n`), fail (`e`) or complete (`c`).
    """

    def __init__(self, case: Case, steps: list[tuple[float, str]]) -> None:
        self.failure = OSError("the wire is cut")
        self.subscribed = self.listening = 0
        self._case = case
        self._steps = steps
        self.observable: Observable[Any] = Observable(self._subscribe)

    def _subscribe(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self.subscribed += 1
        self.listening += 1
        loop = asyncio.get_running_loop()
        items, time, timers = self._case.stream(), 0.0, []
        for seconds, kind in self._steps:
            time += seconds
            timers.append(loop.call_later(time, self._do, observer, kind, items))

        def dispose() -> None:
            self.listening -= 1
            for timer in timers:
                timer.cancel()

        return Disposable(dispose)

    def _do(self, observer: abc.ObserverBase[Any], kind: str, items: Iterator[Any]) -> None:
        match kind:
            case "n":
                observer.on_next(next(items))
            case "e":
                observer.on_error(self.failure)
            case _:
                observer.on_completed()


class Stream:
    """An asynchronous iterable of a case's items that counts its items, starts and ends."""

    def __init__(self, case: Case, limit: float = math.inf) -> None:
        self.started = self.made = self.closed = 0
        self._case = case
        self._limit = limit

    async def __call__(self) -> AsyncIterator[Any]:
        self.started += 1
        try:
            for item in self._case.stream():
                if self.made >= self._limit:
                    return
                self.made += 1
                yield item
        finally:
            self.closed += 1
