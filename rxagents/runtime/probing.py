"""Count and time the items that pass a probe, and keep the live probes of the process.

Theory of operation:

A `Meter` belongs to one subscription of a probe. Its figures must cost little an item, so they are
local variables of `on_next`, which reads the clock twice: when an item arrives, and when the rest
of the pipe has handled it. `Meter.read` returns them when somebody looks.

The meters of one pipe form a tree: each knows the next probe downstream (`probe_place`).

A pipe waits for a slow consumer in two ways, and both count as blocked:

- synchronous code: `on_next` has not returned (`downstream`);
- asynchronous code: it has closed the gate (`gated`). The gate reports each change, so that an item
  costs no look at it.

What must stay:

- Everything here refers weakly to the meters, except what is upstream of them, which refers to its
  observers anyway. A stream that was dropped without an end is in no list.
- A meter that ended forgets its last item. A context that outlives the subscription, such as that
  of a pooled connection, keeps no item alive.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from math import inf
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from reactivex import abc
from reactivex.scheduler import VirtualTimeScheduler

from rxagents.runtime.bridge import Bridge, bridge_of
from rxagents.runtime.probe_place import Place, place_downstream
from rxagents.runtime.stage import Stage
from rxagents.runtime.stage_times import StageName, blocked, by_number, stages_before

T = TypeVar("T")

_MAX_PAST = 100
"""The stages of ended sources that a probe remembers; for names that are made for each item."""


class Figures(NamedTuple):
    """The counters of `on_next`.

    Attributes:
        items: How many items have come.
        entered: When the last item came; the rest of the pipe handles it if this is after `left`.
        left: When the rest of the pipe had last handled an item.
        longest_gap: The longest time from `left` to the next item.
        downstream: Seconds in which the rest of the pipe handled items.
        last: The last item.
    """

    items: int = 0
    entered: float = -inf
    left: float = -inf
    longest_gap: float = 0.0
    downstream: float = 0.0
    last: object = None


class Meter:
    """The figures of one subscription of a probe.

    Args:
        name: The name of the probe.
        written: The source and operators before the probe, as they were written.
        scheduler: The subscriber's scheduler.

    Attributes:
        name: The same.
        number: The number of the subscription, from 1, counted over all probes of the process.
        written: The same.
        clock: Returns the time in seconds.
        since: When the subscription was made.
        bridge: The next asynchronous code downstream; `None` where there is none.
        place: The position in its pipe.
        downstream: The next probe downstream.
        upstream: The next probes upstream, by number.
        past: What the probes upstream that have ended were blocked in all.
        past_stages: The seconds of the stages before those probes.
        first: When the first item came; `None` if none came.
        read: Returns the present figures.
        has_ended: Whether the subscription is over.
    """

    __slots__ = (
        "__weakref__",
        "_gated",
        "_gated_since",
        "bridge",
        "clock",
        "downstream",
        "first",
        "has_ended",
        "name",
        "number",
        "past",
        "past_names",
        "past_stages",
        "place",
        "read",
        "since",
        "upstream",
        "written",
    )

    def __init__(self, name: str, written: Stage, scheduler: abc.SchedulerBase | None) -> None:
        self.name = name
        self.number = next(_numbers)
        self.written = written
        self.clock = _clock_of(scheduler)
        self.since = self.clock()
        self.bridge: Bridge | None = bridge_of(scheduler)
        self.place = Place(self, place_downstream())
        self.downstream = self.place.downstream_probe
        self.upstream: WeakValueDictionary[int, Meter] = WeakValueDictionary()
        self.past = 0.0
        self.past_names: dict[str, None] = {}
        self.past_stages: dict[StageName, float] = {}
        self.first: float | None = None
        self.read: Callable[[], Figures] = Figures
        self.has_ended = False
        self._gated = 0.0
        self._gated_since: float | None = None
        if self.bridge is not None:
            self.bridge.gate.watch(self)
            self.gate_changed(closed=self.bridge.gate.closed)
        if self.downstream is not None:
            self.downstream.upstream[self.number] = self
        _meters[self.number] = self
        if "RXAGENTS_INSPECT" in os.environ:
            _listen()

    @property
    def is_emitting(self) -> bool:
        """Whether the rest of the pipe is handling an item."""
        figures = self.read()
        return figures.entered > figures.left

    @property
    def is_gated(self) -> bool:
        """Whether asynchronous code downstream wants no more items."""
        return self._gated_since is not None

    @property
    def buffered(self) -> int | None:
        """How many items wait for that code; `None` if it is not known."""
        return None if self.bridge is None else self.bridge.waiting()

    def gated(self, now: float) -> float:
        """Return for how many seconds such code wanted no more items."""
        since = self._gated_since
        return self._gated if since is None else self._gated + now - since

    def gate_changed(self, *, closed: bool) -> None:
        """Note that the gate downstream has closed or opened."""
        now = self.clock()
        if self._gated_since is not None:
            self._gated += now - self._gated_since
        self._gated_since = now if closed else None

    def end(self) -> None:
        """Take the meter out of all lists; the next probe downstream takes over its sums."""
        if self.has_ended:
            return
        self.has_ended = True
        _meters.pop(self.number, None)
        if self.bridge is not None:
            self.bridge.gate.unwatch(self)
        if self.downstream is not None:
            self.downstream.upstream.pop(self.number, None)
            self.downstream.take_over(self)
        self.bridge = None
        self.read = Figures

    def take_over(self, ended: Meter) -> None:
        """Add the sums of a probe upstream that has ended."""
        now = ended.clock()
        self.past += blocked(ended, now)
        self.past_names.setdefault(ended.name)
        for stage, seconds in stages_before(ended, now):
            if stage in self.past_stages or len(self.past_stages) < _MAX_PAST:
                self.past_stages[stage] = self.past_stages.get(stage, 0.0) + seconds


def counted(meter: Meter, emit: Callable[[T], None]) -> Callable[[T], None]:
    """Return a function that hands items to `emit`, with the figures of `meter`."""
    clock, items = meter.clock, 0
    entered = left = -inf
    longest = downstream = 0.0
    last: object = None

    def on_next(item: T) -> None:
        nonlocal items, entered, left, longest, downstream, last
        entered = now = clock()
        if now - left > longest:
            if meter.first is None:
                meter.first = now
            elif left != -inf:  # else the source emits while its first item is handled
                longest = now - left
        items += 1
        last = item
        try:
            emit(item)
        except BaseException:
            last = None
            meter.end()
            raise
        left = clock()
        downstream += left - now

    def read() -> Figures:
        return Figures(items, entered, left, longest, downstream, last)

    meter.read = read
    return on_next


def live_meters() -> list[Meter]:
    """Return the meters of all subscriptions that are not over."""
    return by_number(_meters)


def _listen() -> None:
    # Imported here: few programs listen, and that module needs this one.
    from rxagents.runtime.inspect_server import listen_if_asked

    listen_if_asked()


def _clock_of(scheduler: abc.SchedulerBase | None) -> Callable[[], float]:
    if isinstance(scheduler, VirtualTimeScheduler):
        return lambda: scheduler.to_seconds(scheduler.now)
    return time.perf_counter


_numbers = count(1)
_meters: WeakValueDictionary[int, Meter] = WeakValueDictionary()
