"""Run the runs of one conversation one after the other, in the order of their subscriptions.

Theory of operation. Each subscription gets a ticket in the queue of its key. The first ticket runs;
the others wait. A ticket leaves the queue when its scope ends (completed, failed or disposed), and
then the first ticket that is left starts.

- Runs of one key may be on several loops, each on a thread of its own: one lock guards the queues,
  and a run starts on its own loop's thread (`run_on_loop`), never on the thread of the run before.
- A loop that was closed (`asyncio.run` ended, the program was interrupted) ended its runs without
  notice. `_Ticket.start` returns `False` for their tickets, and the queue skips them: otherwise the
  conversation would wait for ever.
- A run starts in the context of its own subscription and not in that of the run before it, in
  whose callback it starts.
- Runs must not wait for each other. A run waits for the tickets before its own, and, while a tool
  of it has started a run, for that run. A tool that starts a run in its own conversation closes a
  circle at once; two conversations whose tools start runs in each other close one together. The
  last ticket that would close it is refused (`_waits_for`). `_holding` has the tickets of the
  surrounding runs. All this applies inside tools only: other code in the same context may well
  wait.
- A run that starts in a callback of the run before it inherits `_holding`. Tickets that have left
  their queue are no longer held, and drop their context: otherwise a chain of runs would keep all
  of its runs alive, each with the tickets of all runs before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from itertools import takewhile
from threading import RLock
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SerialDisposable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.items import is_in_tool

T = TypeVar("T")

_lock = RLock()
"""Guards all queues: runs of one may wait for runs of another."""

_holding: ContextVar[tuple[_Ticket, ...]] = ContextVar("rxagents_tickets", default=())
"""The tickets of the runs that the present code is part of."""


class RunQueue:
    """Queues the runs of each key."""

    def __init__(self) -> None:
        self._tickets: dict[str, deque[_Ticket]] = {}

    def queued(self, key: str, source: Observable[T]) -> Observable[T]:
        """Return `source` with subscriptions that wait for the earlier ones of `key` to end."""

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            run = SerialDisposable()

            def start() -> None:
                run.disposable = scope.subscribe(
                    source, observer.on_next, observer.on_error, observer.on_completed
                )

            def leave() -> None:
                run.dispose()  # first: the next run must see what this one leaves
                self._leave(key, ticket)

            ticket = _Ticket(scope, start)
            if not self._enter(key, ticket):
                observer.on_error(ConfigurationError(_WAITS_FOR_ITSELF.format(key)))
                return
            scope.hold(Disposable(leave))

        return timed(subscribe)

    def _enter(self, key: str, ticket: _Ticket) -> bool:
        """Queue the ticket; return `False` if its run would wait for itself."""
        with _lock:
            tickets = self._tickets.setdefault(key, deque())
            if _waits_for(tickets, ticket.callers):
                return False
            ticket.join(tickets)
            self._start_first(key)
            return True

    def _leave(self, key: str, ticket: _Ticket) -> None:
        with _lock:
            ticket.leave()
            self._start_first(key)

    def _start_first(self, key: str) -> None:
        """Start the first run whose loop is not closed; remove the tickets before it."""
        tickets = self._tickets.get(key, deque())
        while tickets and not tickets[0].start():
            tickets.popleft().leave()
        if not tickets:
            self._tickets.pop(key, None)


def _waits_for(tickets: Iterable[_Ticket], callers: tuple[_Ticket, ...]) -> bool:
    """Return whether one of `tickets` waits, directly or not, for a run of `callers`."""
    if not callers:
        return False
    seen: set[_Ticket] = set()
    pending = list(tickets)
    while pending:
        ticket = pending.pop()
        if ticket in callers:
            return True
        if ticket not in seen:
            seen.add(ticket)
            for called in ticket.called:
                pending += (called, *called.before())
    return False


_WAITS_FOR_ITSELF = (
    "A tool started a run in the conversation {!r}, whose run waits for that tool: they would "
    "wait for each other. Give the tool's run another conversation_id."
)


class _Ticket:
    """A run's place in the queue.

    Attributes:
        callers: The runs whose tool started this run, and wait for it.
        called: The queued runs that this run's tools have started.
        has_left: Whether the run has ended.
    """

    def __init__(self, scope: TimedScope, start: Callable[[], None]) -> None:
        self._loop = scope.loop
        self.has_left = False
        self._context = copy_context()
        held = tuple(ticket for ticket in _holding.get() if not ticket.has_left)
        self.callers = held if is_in_tool.get() else ()
        self.called: set[_Ticket] = set()
        self._queue: deque[_Ticket] = deque()
        self._context.run(_holding.set, (*held, self))
        self._context.run(is_in_tool.set, False)
        self._timer = scope.timer(start)
        self._is_started = False

    def join(self, queue: deque[_Ticket]) -> None:
        """Stand at the end of `queue`."""
        self._queue = queue
        queue.append(self)
        for caller in self.callers:
            caller.called.add(self)

    def before(self) -> Iterator[_Ticket]:
        """Return the tickets before this one, for whose runs it waits."""
        return takewhile(lambda other: other is not self, self._queue)

    def leave(self) -> None:
        """Leave the queue, and forget the run, which has ended."""
        self.has_left = True
        self._context = Context()
        with suppress(ValueError):
            self._queue.remove(self)
        for caller in self.callers:
            caller.called.discard(self)
        self.callers = ()

    def start(self) -> bool:
        """Start the run on its own loop if it has not started; return whether it can still run.

        A closed loop ended its runs without notice.
        """
        loop = self._loop
        if not self._is_started:
            self._is_started = True
            if loop is None:
                self._timer.start(0)
            else:
                run_on_loop(loop, partial(self._context.run, self._timer.start, 0))
        return loop is None or not loop.is_closed()
