"""Explain where a chain of operators spends its time, stage by stage.

The chain reads an answer of a model over HTTP, as in the other benchmarks. A probe
(`rxagents.operators.probe`) stands before and after each operator. The seconds of a stage are those
in which its code ran, plus those in which asynchronous code after it had a full buffer. The source
has what is left of the process's CPU time: HTTP, decoding and making chunks.

A probe costs about 150 ns an item. Its cost is measured in the same run and subtracted.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import reactivex as rx
from msgspec import Struct
from reactivex import Observable, abc
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import rxagents
from benchmarks.replay_server import replay_server
from rxagents import InspectedPipe, describe
from rxagents import operators as ops
from rxagents.core.errors import ConfigurationError

Operator: TypeAlias = Callable[[Observable[Any]], Observable[Any]]

_CHUNKS = 20_000
_ROUNDS = 5
_POLL_SECONDS = 0.05
_LONGEST_SECONDS = 120.0
"""A round that takes longer is an error: some operator does not complete."""


class StageCost(Struct):
    """What one stage cost.

    Attributes:
        name: The operator, or "source" and "subscriber".
        items: Items that reached it.
        seconds: The seconds in which it ran or held the source.
        gated: Those of them in which asynchronous code held the source.
    """

    name: str
    items: int
    seconds: float
    gated: float = 0.0


def load_chain(name: str) -> list[Operator]:
    """Import `module:function`, also from the current folder, and call the function.

    Returns:
        The operators: those of a list or a tuple, or the one that the function returned.

    Raises:
        ConfigurationError: There is no such function, it raised, or it returned something else.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigurationError(f"--chain {name!r} names no function, as module:function does.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise ConfigurationError(
            f"--chain {name!r} names no function: {_one_line(error)}"
        ) from error
    finally:
        del sys.path[0]
    if not callable(function):
        raise ConfigurationError(f"--chain {name!r} names no function, but {function!r:.200}.")
    try:
        made = function()
    except Exception as error:
        raise ConfigurationError(f"{name}() raised {_one_line(error)}") from error
    operators = list(made) if isinstance(made, Sequence) else [made]
    if isinstance(made, str) or not all(callable(operator) for operator in operators):
        raise ConfigurationError(
            f"{name}() must return an operator or a list of operators, not {made!r:.200}."
        )
    return operators


def _one_line(error: BaseException) -> str:
    """Return the type and the message of an error, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def names_of(operators: list[Operator]) -> list[str]:
    """Return a label for each operator."""
    labels: list[str] = []
    for operator in operators:
        lines = describe(rx.never(), operator).tree().splitlines()[1:]
        shown = [line.strip(" │├└─").partition("  ")[0] for line in lines]
        if all(label.startswith("reactivex operator") for label in shown):
            shown = [_name_of(operator)]
        labels.append(", ".join(shown))
    return labels


def _name_of(operator: Operator) -> str:
    """Return the name of a function that describes nothing of itself."""
    if (getattr(operator, "__module__", None) or "").startswith("reactivex"):
        return "an operator of reactivex"
    return getattr(operator, "__qualname__", repr(operator)).partition(".<locals>")[0]


async def measure(url: str, operators: list[Operator]) -> list[StageCost]:
    """Read one answer through the chain; return the stages from the source to the subscriber.

    Raises:
        ConfigurationError: One of the operators is none, or the chain failed or did not complete.
    """
    try:
        return await _measure(url, operators)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"The chain failed with {_one_line(error)}") from error


async def _measure(url: str, operators: list[Operator]) -> list[StageCost]:
    names = names_of(operators)
    found: list[InspectedPipe] = []
    probed: list[Operator] = [_until_idle(found), ops.probe("0")]
    for number, operator in enumerate(operators, 1):
        probed += [operator, ops.probe(str(number))]
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async with rxagents.OpenAI("replay", api_key="none", base_url=url) as llm:
        stream = llm.chat_stream("go").pipe(*probed)
        gc.collect()
        cpu = time.process_time()
        stream.subscribe(_ignore, done.set_exception, lambda: done.set_result(None))
        await asyncio.wait([done], timeout=_LONGEST_SECONDS)
        cpu = time.process_time() - cpu
    if not done.done():
        raise ConfigurationError(
            f"The chain did not complete within {_LONGEST_SECONDS:g} s, although its source ends."
        )
    done.result()
    if not found:
        raise ConfigurationError(
            "The chain completed before its source: leave out what ends it early, such as take()."
        )
    (pipe,) = found
    probes = {probe.name: probe for probe in pipe.probes}
    ordered = [probes[str(number)] for number in range(len(operators) + 1)]
    stages = []
    for name, before, after in zip(
        [*names, "subscriber"], ordered, [*ordered[1:], None], strict=True
    ):
        later = 0.0 if after is None else after.blocked
        gated = before.gated - (0.0 if after is None else after.gated)
        stages.append(
            StageCost(name, before.items, max(0.0, before.blocked - later), max(0, gated))
        )
    running = sum(stage.seconds - stage.gated for stage in stages)
    return [StageCost("source", ordered[0].items, max(0.0, cpu - running)), *stages]


def _until_idle(found: list[InspectedPipe]) -> Operator:
    """Look at the pipe when the source has completed and no item moves; then complete.

    No buffer has items then, and none has passed a probe since the last look: an operator such as
    `map_async` has items that no buffer shows.
    """

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            async def look() -> None:
                before: list[int] = []
                while (items := _items_unless_buffered()) is None or items != before:
                    before = items or []
                    await asyncio.sleep(_POLL_SECONDS)
                found.append(_our_pipe())
                observer.on_completed()

            def on_completed() -> None:
                tasks.append(asyncio.ensure_future(look()))

            tasks: list[asyncio.Future[None]] = []
            return source.subscribe(
                observer.on_next, observer.on_error, on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator


def _items_unless_buffered() -> list[int] | None:
    """Return how many items have passed each probe; `None` if a buffer has items."""
    probes = _our_pipe().probes
    return None if any(probe.buffered for probe in probes) else [probe.items for probe in probes]


def _our_pipe() -> InspectedPipe:
    return next(
        pipe for pipe in rxagents.inspect().pipes if any(probe.name == "0" for probe in pipe.probes)
    )


def _ignore(_: object) -> None: ...


def probe_seconds(items: int) -> float:
    """Return the CPU seconds of an item that one probe of ten adds."""
    subject: rx.Subject[int] = rx.Subject()
    times = []
    for count in (0, 10):
        stream: Observable[int] = subject
        for _ in range(count):
            stream = stream.pipe(ops.probe("cost"))
        subscription = stream.subscribe(_ignore)
        begun = time.process_time()
        for item in range(items):
            subject.on_next(item)
        times.append(time.process_time() - begun)
        subscription.dispose()
    return max(0.0, (times[1] - times[0]) / items / 10)


def explain(name: str, console: Console) -> None:
    """Measure a chain some times, and print its stages."""
    operators = load_chain(name)
    probe = statistics.median(probe_seconds(_CHUNKS) for _ in range(_ROUNDS))
    with replay_server() as server:
        rounds = [
            asyncio.run(measure(f"{server.url}/{_CHUNKS}x16", load_chain(name)))
            for _ in range(_ROUNDS + 1)
        ][1:]
    table = Table(title=f"{escape(name)}: {_CHUNKS:,} chunks, 16 a read, medians of {_ROUNDS}")
    for heading in ("stage", "items", "us an item", "us a chunk", "share", "of it waiting"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    rows = []
    for stages in zip(*rounds, strict=True):
        items = stages[0].items
        seconds = statistics.median(stage.seconds for stage in stages)
        waiting = statistics.median(stage.gated for stage in stages)
        # Each stage but the subscriber includes the probe after it.
        is_last = stages[0].name == "subscriber"
        rows.append(
            (stages[0].name, items, max(0.0, seconds - items * probe * (not is_last)), waiting)
        )
    total = sum(seconds for _, _, seconds, _ in rows) or 1.0
    for label, items, seconds, waiting in rows:
        table.add_row(
            escape(label),
            f"{items:,}",
            f"{seconds / items * 1e6:.2f}" if items else "",
            f"{seconds / _CHUNKS * 1e6:.2f}",
            f"{seconds / total:.0%}",
            f"{min(1.0, waiting / seconds):.0%}" if seconds and waiting else "",
        )
    console.print(table)
    console.print(f"Subtracted for each probe: {probe * 1e9:.0f} ns an item.")
    if len(operators) == 1:
        console.print(
            "For a line for each operator, return a list of operators, not a composition."
        )
