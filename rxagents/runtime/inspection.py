"""Take a snapshot of the probes of the process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, structs

from rxagents.core.checks import checked_count
from rxagents.runtime.inspection_table import table
from rxagents.runtime.item_summary import item_text, item_type
from rxagents.runtime.probing import Meter, live_meters
from rxagents.runtime.stage_times import (
    SUBSCRIBER,
    StageName,
    blocked,
    by_number,
    seconds_before,
    stages_before,
)


class InspectedStage(Struct, frozen=True):
    """The code between two probes.

    Attributes:
        after: The name of the probe before it, or several; `"source"` where there is none.
        before: The name of the probe after it; `"subscriber"` where there is none.
        seconds: For how long it held up what is before it: the seconds for which the code after
            the probe before it took no item, less those of the probe after it. The seconds of the
            source are those for which the first probe waited for it.
        share: Its part of the seconds of all stages of the pipe, from 0 to 1.
        operators: The names of the operators between the probes, or of the source and those after
            it, as far as they are known.
    """

    after: str
    before: str
    seconds: float
    share: float
    operators: tuple[str, ...] = ()

    def __str__(self) -> str:
        operators = f" ({', '.join(self.operators)})" if self.operators else ""
        return f"{self.after} -> {self.before}{operators}"


class InspectedProbe(Struct, frozen=True):
    """One subscription of a probe. Times are seconds.

    Attributes:
        name: The name of the probe.
        number: The number of the subscription, counted over all probes of the process.
        feeds: The number of the next probe downstream; `None` where there is none.
        items: How many items have come.
        rate: Items per second, since the subscription; of `Inspection.since`, since the earlier
            snapshot.
        age: The time since the subscription.
        first: The time from the subscription to the first item; `None` if none came.
        idle: The time since the last item came; since the subscription, if none came.
        longest_gap: The longest time between two items, without the time in which the code after
            the probe handled the first of them.
        own: The seconds of the stage before the probe; see `InspectedStage`.
        downstream: The time in which the code after the probe handled items, while the source
            could not go on.
        gated: The time for which asynchronous code after the probe, such as `map_async` or the
            reader of a `to_aiter`, had its buffer full and wanted no more items.
        blocked: The two together. While items wait in that code's buffer, the time since the last
            item is in it too.
        buffered: How many items wait in the buffer of that code, where it is between this probe and
            the next; `None` where it is not, or not known.
        last: The type of the last item, and its length in brackets where it has one; empty if none
            came.
        text: The start of the last item's text, if it was asked for.
    """

    name: str
    number: int
    feeds: int | None
    items: int
    rate: float
    age: float
    first: float | None
    idle: float
    longest_gap: float
    own: float
    downstream: float
    gated: float
    blocked: float
    buffered: int | None
    last: str
    text: str | None = None


class InspectedPipe(Struct, frozen=True):
    """The probes of one pipe, and what is between them.

    Attributes:
        probes: The probes, from the source to the subscriber.
        stages: The stages, in the same order; the last one is the subscriber, with all that is
            after the last probe.
    """

    probes: tuple[InspectedProbe, ...]
    stages: tuple[InspectedStage, ...]

    @property
    def slowest(self) -> InspectedStage | None:
        """The stage with the most seconds; `None` if no time has passed."""
        stage = max(self.stages, key=lambda stage: stage.seconds)
        return stage if stage.seconds > 0 else None


class Inspection(Struct, frozen=True):
    """A snapshot of the live probes of a process; `str` gives a table.

    Attributes:
        pid: The process.
        program: The file name of its program.
        time: When it was taken: seconds since the epoch.
        pipes: The pipes that have probes, oldest first.
        left_out: How many more there are, beyond the limit that was asked for.
    """

    pid: int
    program: str
    time: float
    pipes: tuple[InspectedPipe, ...]
    left_out: int = 0

    def since(self, earlier: Inspection) -> Inspection:
        """Return this snapshot with the rates and the seconds of stages since an earlier one.

        Pipes that are not in the earlier one stay as they are.
        """
        passed = self.time - earlier.time
        old = {pipe.probes[-1].number: pipe for pipe in earlier.pipes}
        return structs.replace(
            self,
            pipes=tuple(
                _since(pipe, old[pipe.probes[-1].number], passed)
                if passed > 0 and pipe.probes[-1].number in old
                else pipe
                for pipe in self.pipes
            ),
        )

    def __str__(self) -> str:
        return table(self)


def inspect(*, items: bool = False, max_pipes: int | None = None) -> Inspection:
    """Return the figures of all probes that are subscribed to now.

    Any thread may call it.

    Args:
        items: Whether the start of each last item's text is in it too. Without it, an item is
            shown as its type and length.
        max_pipes: How many pipes are read, the oldest ones; `None` for all. A probe takes some
            20 us.

    Raises:
        ConfigurationError: `max_pipes` is not `None` or a whole number of 1 or more.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> waiting = rx.never().pipe(ops.probe("model")).subscribe()
        >>> rxagents.inspect().pipes[0].probes[0].name
        'model'
        >>> waiting.dispose()
        >>> rxagents.inspect().pipes
        ()
    """
    if max_pipes is not None:
        checked_count("max_pipes", max_pipes)
    roots = [meter for meter in live_meters() if _live_downstream(meter) is None]
    pipes = tuple(_pipe(root, items=items) for root in roots[:max_pipes])
    return Inspection(os.getpid(), _program(), time.time(), pipes, len(roots) - len(pipes))


def _pipe(root: Meter, *, items: bool) -> InspectedPipe:
    now = root.clock()
    found = [*stages_before(root, now), (StageName(root.name, SUBSCRIBER), blocked(root, now))]
    total = sum(seconds for _, seconds in found)
    return InspectedPipe(
        tuple(_probe(meter, now, items=items) for meter in _from_source(root)),
        _stages(found, total),
    )


def _stages(found: Iterable[tuple[StageName, float]], total: float) -> tuple[InspectedStage, ...]:
    return tuple(
        InspectedStage(
            name.after, name.before, seconds, seconds / total if total > 0 else 0.0, name.operators
        )
        for name, seconds in found
    )


def _from_source(root: Meter) -> Iterator[Meter]:
    for meter in by_number(root.upstream):
        yield from _from_source(meter)
    yield root


def _live_downstream(meter: Meter) -> Meter | None:
    downstream = meter.downstream
    return None if downstream is None or downstream.has_ended else downstream


def _probe(meter: Meter, now: float, *, items: bool) -> InspectedProbe:
    figures = meter.read()
    age = now - meter.since
    feeds = _live_downstream(meter)
    emitting = max(0.0, now - figures.entered) if figures.entered > figures.left else 0.0
    is_last_before = feeds is None or feeds.bridge is not meter.bridge
    has_items = figures.items > 0
    return InspectedProbe(
        name=meter.name,
        number=meter.number,
        feeds=None if feeds is None else feeds.number,
        items=figures.items,
        rate=figures.items / age if age > 0 else 0.0,
        age=age,
        first=None if meter.first is None else meter.first - meter.since,
        idle=now - figures.entered if has_items else age,
        longest_gap=figures.longest_gap,
        own=seconds_before(meter, now),
        downstream=figures.downstream + emitting,
        gated=meter.gated(now),
        blocked=blocked(meter, now),
        buffered=meter.buffered if is_last_before else None,
        last=item_type(figures.last) if has_items else "",
        text=item_text(figures.last) if has_items and items else None,
    )


def _since(pipe: InspectedPipe, old: InspectedPipe, passed: float) -> InspectedPipe:
    items = {probe.number: probe.items for probe in old.probes}
    spent = {_name(stage): stage.seconds for stage in old.stages}
    found = [
        (_name(stage), max(0.0, stage.seconds - spent.get(_name(stage), 0.0)))
        for stage in pipe.stages
    ]
    total = sum(seconds for _, seconds in found)
    if total <= 0:
        return pipe
    probes: Sequence[InspectedProbe] = [
        structs.replace(probe, rate=(probe.items - items[probe.number]) / passed)
        if probe.number in items
        else probe
        for probe in pipe.probes
    ]
    return InspectedPipe(tuple(probes), _stages(found, total))


def _name(stage: InspectedStage) -> StageName:
    return StageName(stage.after, stage.before, stage.operators)


def _program() -> str:
    """Return the file name of the program; its arguments may hold a key."""
    path = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path("python")
    return path.parent.name if path.name == "__main__.py" else path.name
