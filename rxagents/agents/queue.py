"""Runs that have to wait for one another."""

from __future__ import annotations

import asyncio
from collections import deque
from threading import Lock
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.runtime.timed_scope import TimedScope, Timer, timed

T = TypeVar("T")


class RunQueue:
    """One run at a time for each key, in the order of their subscriptions."""

    def __init__(self) -> None:
        self._lock = Lock()  # a subscription may be disposed from any thread
        self._tickets: dict[str, deque[_Ticket]] = {}

    def queued(self, key: str, source: Observable[T]) -> Observable[T]:
        """Return `source`, whose subscriptions wait until those before it are over."""

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            def begin() -> None:
                scope.subscribe(source, observer.on_next, observer.on_error, observer.on_completed)

            ticket = _Ticket(scope.timer(begin))
            scope.hold(Disposable(lambda: self._leave(key, ticket)))
            self._enter(key, ticket)

        return timed(subscribe)

    def _enter(self, key: str, ticket: _Ticket) -> None:
        with self._lock:
            tickets = self._tickets.setdefault(key, deque())
            while tickets and tickets[0].is_lost:
                tickets.popleft()
            tickets.append(ticket)
            first = tickets[0]
        if first is ticket:
            ticket.call()

    def _leave(self, key: str, ticket: _Ticket) -> None:
        with self._lock:
            tickets = self._tickets.get(key, deque())
            was_first = bool(tickets) and tickets[0] is ticket
            if ticket in tickets:
                tickets.remove(ticket)
            while tickets and tickets[0].is_lost:
                tickets.popleft()
            following = tickets[0] if tickets and was_first else None
            if not tickets:
                self._tickets.pop(key, None)
        if following is not None:
            following.call()


class _Ticket:
    """A run's place in the queue."""

    def __init__(self, start: Timer) -> None:
        self._start = start
        self._loop = _loop()

    @property
    def is_lost(self) -> bool:
        """Whether the loop of the run has ended, and the run with it, without a word."""
        return self._loop is not None and self._loop.is_closed()

    def call(self) -> None:
        """Let the run begin, on its own loop."""
        if self._loop is None:
            self._start.start(0)
        else:
            self._loop.call_soon_threadsafe(self._start.start, 0)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None  # time is virtual
