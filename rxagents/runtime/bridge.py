"""Link code that awaits an Observable to the sources that feed it.

Theory of operation:

In Rx, items flow from the source to the subscriber. Code that awaits a stream also needs three
things to flow the other way, and its `Bridge` carries them:

- demand: sources look at `gate.closed` after each item, and wait until the gate opens;
- failures: `fail` gets what a consumer's callback or an operator raised, and the owner of the
  bridge raises it in the awaiting code;
- clean-up: sources register their tasks, and `aclose` waits until these tasks are over.

A source finds the bridge in two ways, because each of them gets lost on some paths. Operators hand
the scheduler up to every source, but a plain `subscribe` passes none, `subscribe_on` replaces it
and `do_after_next` drops it. A context variable that is set during `subscribe` reaches every task
created in it, but does not survive `observe_on`. `bridge_of` reads the context variable only if the
scheduler carries no bridge.

A bridge is open until `close`, and never opens again. These three rules must stay:

- Closing the bridge opens its gate. Otherwise a source that waits there would never end.
- A closed bridge counts as no bridge, and forgets its owner: a pooled connection outlives the
  subscription, keeps the context variables of its creation, and through them the bridge.
- Operators that share one source have a bridge of their own upstream. With the first subscriber's
  bridge, its gate would stop the other subscribers for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from reactivex import abc
from reactivex.disposable import Disposable
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.runtime.loop import running_loop, runs_here
from rxagents.runtime.reporting import report_unhandled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class GateWatcher(Protocol):
    """Code that notes when a gate closes and opens, such as a probe."""

    def gate_changed(self, *, closed: bool) -> None:
        """Note that the gate has closed or opened."""


class Gate:
    """Signals demand to the sources: closed while the consumer wants no more items.

    Attributes:
        closed: A plain attribute, because sources read it after every item.
        is_emitting: Whether a source emits the items of one read at the moment.
    """

    __slots__ = ("_after_burst", "_callbacks", "_watchers", "closed", "is_emitting")

    def __init__(self) -> None:
        self.closed = self.is_emitting = False
        self._after_burst: tuple[Callable[[], None], ...] = ()
        self._callbacks: tuple[Callable[[], None], ...] = ()
        self._watchers: WeakSet[GateWatcher] | None = None  # only a probe needs it

    def close(self) -> None:
        """Ask the sources to stop after the current item."""
        if not self.closed:
            self.closed = True
            if self._watchers is not None:
                self._report()

    def open(self) -> None:
        """Let the sources continue."""
        if self._watchers is not None and self.closed:
            self.closed = False
            self._report()
        self.closed = False
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            callback()

    def when_open(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the gate opens next."""
        self._callbacks += (callback,)

    def after_burst(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """Call `callback` when the source has emitted what it has read, or in the next turn."""
        if self.is_emitting:
            self._after_burst += (callback,)
        else:
            loop.call_soon(callback)

    def end_burst(self) -> None:
        """Note that the source has emitted what it has read."""
        self.is_emitting = False
        if callbacks := self._after_burst:
            self._after_burst = ()
            for callback in callbacks:
                try:
                    callback()
                except Exception as error:  # it is no failure of the source
                    report_unhandled(error, asyncio.get_running_loop(), None)

    def watch(self, watcher: GateWatcher) -> None:
        """Call `watcher.gate_changed` at each change, as long as something else refers to it."""
        if self._watchers is None:
            self._watchers = WeakSet()
        self._watchers.add(watcher)

    def unwatch(self, watcher: GateWatcher) -> None:
        """Undo `watch`."""
        if self._watchers is not None:
            self._watchers.discard(watcher)

    def _report(self) -> None:
        for watcher in tuple(self._watchers or ()):
            watcher.gate_changed(closed=self.closed)

    async def opened(self) -> None:
        """Wait until the gate is open."""
        while self.closed:
            event = asyncio.Event()
            self.when_open(event.set)
            await event.wait()


class Closing(Protocol):
    """Something that `Bridge.aclose` waits for, such as the tasks of a source."""

    async def aclose(self) -> None:
        """Return when it is over."""


class Bridge:
    """Links one subscription of awaiting code to its sources.

    Args:
        loop: The running loop.
        fail: Called with what a consumer's callback or an operator raised.

    Attributes:
        gate: Closed while the awaiting code wants no more items.
        closed: Whether the awaiting code has left.
        scheduler: Carries the bridge; subscribe to the source with it.
        waiting: Returns how many items wait for the awaiting code; `None` if it is not known.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fail: Callable[[Exception], None]) -> None:
        self.loop = loop
        self.gate = Gate()
        self.closed = False
        self.waiting: Callable[[], int | None] = _unknown
        self.scheduler = LoopScheduler(loop, self)
        self.fail = fail
        self._scopes: set[Closing] = set()
        self._successors: tuple[Bridge, ...] = ()

    def adopt(self, scope: Closing) -> None:
        """Let `aclose` wait for `scope` too."""
        self._scopes.add(scope)

    def release(self, scope: Closing) -> None:
        """Forget a scope that is over."""
        self._scopes.discard(scope)
        for successor in self._successors:
            successor.release(scope)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Give this bridge to every source that is subscribed to inside the block."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def close(self, successors: Iterable[Bridge] = ()) -> None:
        """Open the gate and forget the owner, without waiting for the sources' tasks.

        Args:
            successors: The bridges that wait for these tasks when they are closed themselves.
        """
        self.closed = True
        self.fail = _ignore
        self.waiting = _unknown
        self.gate.open()
        self._successors += tuple(successors)
        for successor in self._successors:
            for scope in self._scopes:
                successor.adopt(scope)

    async def aclose(self) -> None:
        """Open the gate, cancel the sources' tasks and wait until they are over."""
        self.close()
        for scope in tuple(self._scopes):
            await scope.aclose()


class LoopScheduler(AsyncIOScheduler):
    """The loop's scheduler, which carries the bridge and reports what its actions raise.

    reactivex's sources emit from scheduled actions. What a callback raises there would otherwise
    end the action, and leave a stream that never ends. And reactivex's own reads the machine's
    clock, which stands still on a loop with virtual time: `delay` would never end there.

    Args:
        loop: The running loop.
        bridge: Carried up to the sources.
        fail: Called with what an action raised; by default it is reported.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bridge: Bridge | None,
        fail: Callable[[BaseException], None] | None = None,
    ) -> None:
        super().__init__(loop)
        self.loop = loop
        self.bridge = bridge
        self._fail = fail or partial(report_unhandled, loop=loop, bridge=bridge)
        self._epoch = time.time() - loop.time()

    @property
    def now(self) -> datetime:
        """The time of day, which moves with the loop's clock."""
        return self.to_datetime(self._epoch + self.loop.time())

    def invoke_action(
        self, action: abc.ScheduledAction[Any], state: Any = None
    ) -> abc.DisposableBase:
        """Call `action`, and report what it raises."""
        try:
            return super().invoke_action(action, state)
        except BaseException as error:
            self._fail(error)
            return Disposable()


def _unknown() -> None:
    """Return that it is not known how many items wait."""


def _ignore(_: Exception) -> None:
    """Replace the `fail` of an owner who has left."""


_current: ContextVar[Bridge | None] = ContextVar("rxagents_bridge", default=None)


def bridge_of(scheduler: abc.SchedulerBase | None) -> Bridge | None:
    """Return the bridge of a new subscription; `None` where no code on this loop awaits it."""
    bridge = scheduler.bridge if isinstance(scheduler, LoopScheduler) else _current.get()
    if bridge is None or bridge.closed or not runs_here(bridge.loop):
        return None
    return bridge


def scheduler_on_loop(scheduler: abc.SchedulerBase | None) -> abc.SchedulerBase | None:
    """Return a subscriber's scheduler, or the running loop's if it would use another thread.

    Most schedulers of reactivex run their actions on threads of their own, or block the thread
    that subscribes. `None` and virtual time stay.
    """
    if scheduler is None or isinstance(scheduler, VirtualTimeScheduler):
        return scheduler
    if isinstance(scheduler, LoopScheduler) and runs_here(scheduler.loop):
        return scheduler
    return LoopScheduler(running_loop(), bridge_of(scheduler))


@contextmanager
def detached() -> Iterator[None]:
    """Hide the current bridge inside the block.

    User code, such as a tool, may subscribe to streams of its own. The demand and failures of
    these streams are its own too, and not those of the code that awaits the tool's result.
    """
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def detach() -> None:
    """Hide the current bridge for the rest of the current task, as `detached` does for a block."""
    _current.set(None)
