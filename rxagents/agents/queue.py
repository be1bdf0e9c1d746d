"""Runs that have to wait for one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
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
"""The places of the runs that the code is inside of."""


class RunQueue:
    """One run at a time for each key, in the order of their subscriptions.

    Runs of one key may be on several loops, each on a thread of its own.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._tickets: dict[str, deque[_Ticket]] = {}

    def queued(self, key: str, source: Observable[T]) -> Observable[T]:
        """Return `source`, whose subscriptions wait until those before it are over."""

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            def begin() -> None:
                scope.subscribe(source, observer.on_next, observer.on_error, observer.on_completed)

            if self._is_held_by_caller(key):
                observer.on_error(ConfigurationError(_WAITS_FOR_ITSELF.format(key)))
                return
            ticket = _Ticket(scope, begin)
            scope.hold(Disposable(lambda: self._leave(key, ticket)))
            self._enter(key, ticket)

        return timed(subscribe)

    def _is_held_by_caller(self, key: str) -> bool:
        """Whether a tool of the very run that is under way asks, which waits for that tool."""
        with self._lock:
            first = next(iter(self._tickets.get(key, ())), None)
        return is_in_tool.get() and first is not None and first in _holding.get()

    def _enter(self, key: str, ticket: _Ticket) -> None:
        with self._lock:
            self._tickets.setdefault(key, deque()).append(ticket)
            self._call_first(key)

    def _leave(self, key: str, ticket: _Ticket) -> None:
        with self._lock:
            with suppress(ValueError):
                self._tickets.get(key, deque()).remove(ticket)
            self._call_first(key)

    def _call_first(self, key: str) -> None:
        """Let the first run begin; those whose loop has ended are no longer in the way."""
        tickets = self._tickets.get(key, deque())
        while tickets and not tickets[0].call():
            tickets.popleft()
        if not tickets:
            self._tickets.pop(key, None)


_WAITS_FOR_ITSELF = (
    "A tool asks in the conversation {!r}, whose run waits for that tool: they would wait for "
    "each other. Give the tool's run another conversation_id."
)


class _Ticket:
    """A run's place in the queue."""

    def __init__(self, scope: TimedScope, begin: Callable[[], None]) -> None:
        self._loop = scope.loop
        self._context = copy_context()  # the run shall not see what belongs to the one before it
        self._context.run(_holding.set, (*_holding.get(), self))
        self._context.run(is_in_tool.set, False)
        self._start = scope.timer(begin)
        self._is_called = False

    def call(self) -> bool:
        """Start the run on its own loop if it has not started; return whether it can still run.

        A closed loop ended its runs without notice.
        """
        loop = self._loop
        if not self._is_called:
            self._is_called = True
            if loop is None:
                self._start.start(0)
            else:
                run_on_loop(loop, partial(self._context.run, self._start.start, 0))
        return loop is None or not loop.is_closed()
