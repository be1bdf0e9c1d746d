"""One subscriber of a shared stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from reactivex import abc

from rxagents.runtime.bridge import Bridge, Gate
from rxagents.runtime.reporting import report_unhandled

T = TypeVar("T")


class Subscriber(Generic[T]):
    """One subscriber. Its callbacks run in the context variables of its own `subscribe`.

    Attributes:
        active: Whether it still gets items.
        gate: Closed while it has enough; never closed where no asynchronous code awaits it.
        bridge: The bridge of the asynchronous code that awaits it, if there is any.
    """

    def __init__(
        self, observer: abc.ObserverBase[T], loop: asyncio.AbstractEventLoop, bridge: Bridge | None
    ) -> None:
        self.active = True
        self.bridge = bridge
        self.gate = bridge.gate if bridge is not None else Gate()
        self._observer = observer
        self._on_next = observer.on_next
        self._call = copy_context().run
        self._loop = loop
        self._watching = False

    def stop(self) -> None:
        """Deliver nothing more."""
        self.active = False

    def next(self, item: T) -> bool:
        """Deliver an item; return whether the subscriber took it without an exception."""
        try:
            self._call(self._on_next, item)
        except BaseException as error:
            self.active = False
            self.report(error)
            return False
        return True

    def end(self, error: Exception | None) -> None:
        """Deliver the end."""
        if not self.active:
            return
        self.active = False
        try:
            if error is None:
                self._call(self._observer.on_completed)
            else:
                self._call(self._observer.on_error, error)
        except BaseException as failure:
            self.report(failure)

    def report(self, error: BaseException) -> None:
        """Report what the subscriber raised to the code that awaits it, or else to the loop."""
        report_unhandled(error, self._loop, self.bridge)

    def when_gate_opens(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the gate opens, however often this was called before."""
        if self._watching:
            return
        self._watching = True

        def on_open() -> None:
            self._watching = False
            callback()

        self.gate.when_open(on_open)
