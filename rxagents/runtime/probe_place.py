"""Find the next probe downstream of a new subscription.

Theory of operation:

Subscribing goes from the subscriber to the source, so a context variable that is set while a probe
subscribes to its source names the next probe downstream. The tasks that a source starts inherit it.
There are two cases in which it names a probe too far upstream, and `place_downstream` goes on from
there to the right one:

- that probe has ended, as when `concat` subscribes to its next source;
- that probe is emitting, and what follows it, such as `flat_map`, subscribes to a source.

A context may outlive the subscription. So it holds a `Place`, which refers weakly to its meter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import ref

from reactivex.scheduler import CurrentThreadScheduler

if TYPE_CHECKING:
    from rxagents.runtime.probing import Meter


class Place:
    """The position of a probe in its pipe.

    Attributes:
        meter: Returns the probe's meter while there is one.
        downstream: The position of the next probe downstream.
    """

    __slots__ = ("downstream", "meter")

    def __init__(self, meter: Meter, downstream: Place | None) -> None:
        self.meter = ref(meter)
        self.downstream = downstream

    @property
    def downstream_probe(self) -> Meter | None:
        """The next probe downstream."""
        return None if self.downstream is None else self.downstream.meter()

    @contextmanager
    def subscribing(self) -> Iterator[None]:
        """Make this the place downstream of those that are subscribed to in the block.

        Inside of another `subscribe`, reactivex's sources such as `concat` subscribe to theirs
        later, in actions of the current thread's scheduler. They run in the order in which they
        were scheduled, so that two more, around them, do the same for them.
        """
        later = CurrentThreadScheduler.singleton()
        is_nested = not later.schedule_required()
        outer: list[Place | None] = []

        def enter(*_: object) -> None:
            outer.append(_current.get())
            _current.set(self)

        def leave(*_: object) -> None:
            _current.set(outer.pop())

        if is_nested:
            later.schedule(enter)
        enter()
        try:
            yield
        finally:
            leave()
            if is_nested:
                later.schedule(leave)


def place_downstream() -> Place | None:
    """Return the place of the next probe downstream of a subscription that is made now."""
    place = _current.get()
    while place is not None:
        meter = place.meter()
        if meter is not None and not meter.has_ended and not meter.is_emitting:
            break
        place = place.downstream
    return place


_current: ContextVar[Place | None] = ContextVar("rxagents_probe", default=None)
