"""Run the runs of one conversation one after the other, in the order of their subscriptions.

Theory of operation. Each subscription gets a ticket in the queue of its key. The first ticket runs;
the others wait. A ticket leaves the queue when its scope ends (completed, failed or disposed), and
then the first ticket that is left starts.

- Runs of one key may be on several loops, each on a thread of its own: the lock guards the queues,
  and a run starts on its own loop's thread (`run_on_loop`), never on the thread of the run before.
- A loop that was closed (`asyncio.run` ended, the program was interrupted) ended its runs without
  notice. `_Ticket.start` returns `False` for their tickets, and the queue skips them: otherwise the
  conversation would wait for ever.
- A run starts in the context of its own subscription and not in that of the run before it, in
  whose callback it starts.
- A tool of a run that subscribes to a run of the same conversation would wait for its own run.
  `_holding` has the tickets of the surrounding runs, so that such a run fails at once. It
  applies inside tools only: other code in the same context may well wait.
- A run that starts in a callback of the run before it inherits `_holding`. Tickets that have left
  their queue are no longer held, and drop their context: otherwise a chain of runs would keep all
  of its runs alive, each with the tickets of all runs before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from threading import RLock
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.items import is_in_tool

T = TypeVar("T")

_holding: ContextVar[tuple[_Ticket, ...]] = ContextVar("rxagents_tickets", default=())
"""The tickets of the runs that the present code is part of."""


class RunQueue:
    """Queues the runs of each key."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._tickets: dict[str, deque[_Ticket]] = {}

    def queued(self, key: str, source: Observable[T]) -> Observable[T]:
        """Return `source` with subscriptions that wait for the earlier ones of `key` to end."""

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            def start() -> None:
                scope.subscribe(source, observer.on_next, observer.on_error, observer.on_completed)

            if self._is_held_by_caller(key):
                observer.on_error(ConfigurationError(_WAITS_FOR_ITSELF.format(key)))
                return
            ticket = _Ticket(scope, start)
            scope.hold(Disposable(lambda: self._leave(key, ticket)))
            self._enter(key, ticket)

        return timed(subscribe)

    def _is_held_by_caller(self, key: str) -> bool:
        """Return whether a tool of the run that has the queue's first ticket calls this."""
        with self._lock:
            first = next(iter(self._tickets.get(key, ())), None)
        return is_in_tool.get() and first is not None and first in _holding.get()

    def _enter(self, key: str, ticket: _Ticket) -> None:
        with self._lock:
            self._tickets.setdefault(key, deque()).append(ticket)
            self._start_first(key)

    def _leave(self, key: str, ticket: _Ticket) -> None:
        ticket.leave()
        with self._lock:
            with suppress(ValueError):
                self._tickets.get(key, deque()).remove(ticket)
            self._start_first(key)

    def _start_first(self, key: str) -> None:
        """Start the first run whose loop is not closed; remove the tickets before it."""
        tickets = self._tickets.get(key, deque())
        while tickets and not tickets[0].start():
            tickets.popleft()
        if not tickets:
            self._tickets.pop(key, None)


_WAITS_FOR_ITSELF = (
    "A tool started a run in the conversation {!r}, whose run waits for that tool: they would "
    "wait for each other. Give the tool's run another conversation_id."
)


class _Ticket:
    """A run's place in the queue.

    Attributes:
        has_left: Whether the run has ended.
    """

    def __init__(self, scope: TimedScope, start: Callable[[], None]) -> None:
        self._loop = scope.loop
        self.has_left = False
        self._context = copy_context()
        held = (ticket for ticket in _holding.get() if not ticket.has_left)
        self._context.run(_holding.set, (*held, self))
        self._context.run(is_in_tool.set, False)
        self._timer = scope.timer(start)
        self._is_started = False

    def leave(self) -> None:
        """Forget the run, which has ended."""
        self.has_left = True
        self._context = Context()

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
