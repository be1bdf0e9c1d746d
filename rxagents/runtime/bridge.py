"""What a source knows of the asynchronous code at the far end of its pipe.

A `Bridge` is made by whoever awaits an Observable. It reaches the sources in two ways, since
each alone gets lost on some paths: on the scheduler, which operators hand up to every source;
and in a context variable, which serves where a plain `subscribe` passed no scheduler on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from reactivex import abc
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.runtime.loop import runs_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rxagents.runtime.scope import TaskScope


class Gate:
    """Demand, as a gate that sources wait at: closed while the consumer has enough.

    Sources read `closed` after every item, so it is a plain attribute.
    """

    __slots__ = ("_callbacks", "closed")

    def __init__(self) -> None:
        self.closed = False
        self._callbacks: list[Callable[[], None]] = []

    def close(self) -> None:
        """Ask the sources to stop after the item they are at."""
        self.closed = True

    def open(self) -> None:
        """Let the sources go on."""
        self.closed = False
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def when_open(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, at the next opening."""
        self._callbacks.append(callback)

    async def opened(self) -> None:
        """Wait until the gate is open."""
        while self.closed:
            event = asyncio.Event()
            self.when_open(event.set)
            await event.wait()


class Bridge:
    """One subscription of asynchronous code: its gate, its sources' tasks, its failures.

    Args:
        loop: The running loop.
        fail: Called with what a consumer's callback or an operator raised; the bridge's owner
            raises it to the code that awaits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fail: Callable[[Exception], None]) -> None:
        self.loop = loop
        self.gate = Gate()
        self.closed = False
        self.scheduler = BridgeScheduler(loop, self)
        self.fail = fail
        self._scopes: set[TaskScope] = set()
        self._heir: Bridge | None = None

    def adopt(self, scope: TaskScope) -> None:
        """Wait for `scope` too when the bridge is closed."""
        self._scopes.add(scope)

    def release(self, scope: TaskScope) -> None:
        """Forget a scope whose tasks are over."""
        self._scopes.discard(scope)
        if self._heir is not None:
            self._heir.release(scope)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make this the bridge of all that is subscribed to inside."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def close(self, heir: Bridge | None = None) -> None:
        """Open the gate and let go of the owner, at once.

        Connections that outlive the subscription keep the context they were made in, and with
        it this bridge.

        Args:
            heir: Waits for the sources' tasks in this bridge's place, when it is closed itself.
        """
        self.closed = True
        self.fail = _nobody
        self.gate.open()
        if heir is not None:
            self._heir = heir
            for scope in self._scopes:
                heir.adopt(scope)

    async def aclose(self) -> None:
        """Open the gate, cancel the sources' tasks and wait until they are over."""
        self.close()
        for scope in tuple(self._scopes):
            await scope.aclose()


class BridgeScheduler(AsyncIOScheduler):
    """The loop's scheduler, carrying the bridge up to the sources."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bridge: Bridge) -> None:
        super().__init__(loop)
        self.bridge = bridge


def _nobody(_: Exception) -> None:
    """Take the place of an owner who has left."""


_current: ContextVar[Bridge | None] = ContextVar("rxagents_bridge", default=None)


def bridge_of(scheduler: abc.SchedulerBase | None) -> Bridge | None:
    """Return the bridge that a subscription belongs to, if asynchronous code awaits it here."""
    bridge = scheduler.bridge if isinstance(scheduler, BridgeScheduler) else _current.get()
    if bridge is None or bridge.closed or not runs_here(bridge.loop):
        return None
    return bridge


@contextmanager
def detached() -> Iterator[None]:
    """Let what a user's code subscribes to inside belong to nobody but that code."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def detach() -> None:
    """Do the same for the rest of the current task."""
    _current.set(None)
