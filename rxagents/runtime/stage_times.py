"""Compute how long each stage of a probed pipe holds up the stages before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from rxagents.runtime.stage import UNKNOWN_SOURCE, Stage

if TYPE_CHECKING:
    from rxagents.runtime.probing import Meter

SOURCE = "source"
"""What a stage comes after where no probe is upstream."""

SUBSCRIBER = "subscriber"
"""What a stage comes before where no probe is downstream."""

_MOST_NAMES = 3
"""Names that are listed of several sources."""

_MOST_OPERATORS = 20
"""Operators that are listed of one stage."""


class StageName(NamedTuple):
    """The names that identify a stage.

    Attributes:
        after: The name of the probe before it.
        before: The name of the probe after it.
        operators: The operators between them.
    """

    after: str
    before: str
    operators: tuple[str, ...] = ()


def by_number(meters: WeakValueDictionary[int, Meter]) -> list[Meter]:
    """Return the meters that still exist; any thread may call it."""
    found = (reference() for reference in meters.valuerefs())  # a copy, made in one step
    return sorted((meter for meter in found if meter is not None), key=lambda one: one.number)


def blocked(meter: Meter, now: float) -> float:
    """Return for how many seconds the code after a probe took no further item.

    While items wait in a buffer, the time since the last one counts too: the code that they wait
    for is busy with earlier ones.
    """
    figures = meter.read()
    seconds = figures.downstream + meter.gated(now)
    if figures.entered > figures.left:
        return seconds + now - figures.entered
    if meter.buffered and not meter.is_gated:
        return seconds + now - max(figures.left, meter.since)
    return seconds


def stages_before(meter: Meter, now: float) -> Iterator[tuple[StageName, float]]:
    """Yield the stages upstream of a probe, from the source on, and their seconds.

    A stage's seconds are those for which it held up the stage before it: what is blocked before it
    less what is blocked after it. The seconds of the source are those for which the first probe
    waited for it.
    """
    yield from tuple(meter.past_stages.items())
    for one in by_number(meter.upstream):
        yield from stages_before(one, now)
    yield (
        StageName(names_before(meter), meter.name, operators_before(meter)),
        seconds_before(meter, now),
    )


def names_before(meter: Meter) -> str:
    """Return the names of the next probes upstream, also of those that have ended."""
    live = by_number(meter.upstream)
    names = dict.fromkeys([*meter.past_names, *(one.name for one in live)])
    return ", ".join(list(names)[:_MOST_NAMES]) or SOURCE


def operators_before(meter: Meter) -> tuple[str, ...]:
    """Return the names of the source and the operators that were written before a probe.

    They end at the next probe upstream. Arguments are left out: they may be texts.
    """
    names: list[str] = []
    stage: Stage | None = meter.written
    while stage is not None and stage.call.name != "probe" and len(names) < _MOST_OPERATORS:
        if stage is not UNKNOWN_SOURCE:
            names.append(stage.call.name)
        stage = stage.upstream
    return tuple(reversed(names))


def seconds_before(meter: Meter, now: float) -> float:
    """Return the seconds of the stage that ends at a probe."""
    after = blocked(meter, now)
    live = by_number(meter.upstream)
    if not live and not meter.past_names:
        return max(0.0, now - meter.since - after)
    shared = {one.bridge: one.gated(now) for one in live}  # one gate stops all of its sources
    before = sum(blocked(one, now) - one.gated(now) for one in live) + sum(shared.values())
    return max(0.0, meter.past + before - after)
