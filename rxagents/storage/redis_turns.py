"""Wait for permits of a limiter in Redis, for the requests of one process.

Theory of operation. `redis_limiter_rules` decides on the server who may send. This module has the
futures of the requests that wait here, and one thread that listens for permits. No event loop is
involved: one that hangs does not lose the lease, and another loop may use the limiter next.

- `join` makes a future. The answer of the script sets it if the request may be sent at once, and
  else a message does. `_grant` removes it from `_waiting` under the lock, so that it is set once.
- The thread starts with the first request, and ends when none waits and none is in flight. It has a
  connection of its own, subscribed to the channel of this holder. A message has numbers, or `tick`
  with the seconds after which this process should call that script.
- A message may be lost: before the subscription, or with a connection that breaks. So after it has
  subscribed, and then every `_REPEAT` seconds while requests wait, the thread asks for all permits
  of this holder. That renews the lease too. While no request waits, it does so every `_RENEW`
  seconds.
- If the server does not know this holder any more, since this process stood still for longer than
  the lease or the server has lost its data, those that wait join again.
- If Redis fails, all that wait fail with it. This process goes on as another holder: a call that
  ends a permit may have been lost, and then the lease of the old holder ends it.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import Future, wait
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from rxagents.runtime import forks, last_calls
from rxagents.runtime.daemon_thread import WorkThread
from rxagents.storage.redis_limiter_scripts import SCRIPTS
from rxagents.storage.redis_worker import RedisWorker

_LEASE = 15.0
_RENEW = 5.0
_REPEAT = 1.0

_LATE = 1.0005
"""A call that comes before its time finds nothing: the clocks do not run at the same speed."""

_PAUSE = 0.1
"""Seconds before a subscription that broke is made again."""

Argument: TypeAlias = str | bytes | float


class Place(NamedTuple):
    """A request, as the server knows it."""

    holder: str
    number: int


class Waiter(NamedTuple):
    """A request that waits.

    Attributes:
        place: Its holder and number.
        digest: What the server sees of its key.
        key: The key, whose requests take turns with those of other keys.
        tokens: The tokens that it reserves.
        turn: Set when the request may be sent.
    """

    place: Place
    digest: str
    key: str | None
    tokens: int
    turn: Future[None]


class RedisTurns:
    """The requests of this process at a limiter in Redis; any thread may call it.

    Args:
        url: The server.
        base: The key of the limiter's state; the names of its other keys begin with it.
        rates: The limits as MessagePack, for a limiter that does not exist.
        opener: Who sets these limits also for a limiter that exists; empty for nobody.
    """

    def __init__(self, url: str, base: str, rates: bytes, opener: str) -> None:
        self._worker = RedisWorker(url, SCRIPTS)
        self._base = base
        self._rates = rates
        self._opener = opener
        self._numbers = count(1)
        self._begin()
        last_calls.register(self)
        forks.register(self)

    def reset_after_fork(self) -> None:
        """Begin as a holder of its own: what waits or runs is that of the other process."""
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._holder = _new_holder()
        self._waiting: dict[Place, Waiter] = {}
        self._in_flight: set[Place] = set()
        self._thread: WorkThread | None = None
        self._tick_at = math.inf
        self._last: Future[Any] | None = None

    def wait_for_last(self, seconds: float) -> None:
        """Wait until the server has answered the last call, or for some seconds."""
        if self._last is not None:
            wait([self._last], seconds)

    def join(self, digest: str, key: str | None, tokens: int) -> Waiter:
        """Let a request wait. The turn fails with `StorageError` if Redis does."""
        with self._lock:
            place = Place(self._holder, next(self._numbers))
            waiter = self._waiting[place] = Waiter(place, digest, key, tokens, Future())
            if self._thread is None:
                self._thread = WorkThread(  # without steps: virtual time passes while it listens
                    target=self._listen, name="rxagents waits for Redis", daemon=True
                )
                self._thread.start()
        self._join(waiter)
        return waiter

    def leave(self, place: Place) -> None:
        """End a request that waits, or that was not sent."""
        self._end("leave", place)

    def settle(self, place: Place, tokens: int | None) -> None:
        """End a request that has used so many tokens; `None` if unknown."""
        self._end("settle", place, _text(tokens))

    def learn(self, place: Place, known: Iterable[float | None]) -> None:
        """Note what the provider says: the limit of requests, their rest, the same for tokens."""
        self._call("learn", place.holder, place.number, *map(_text, known))

    def refused(self, place: Place, wait: float | None) -> None:
        """Note that the provider refused a request, for so many seconds if it said so."""
        self._call("refused", place.holder, _text(wait))

    def change(self, rates: dict[str, float | None]) -> Future[Any]:
        """Change limits."""
        named = [each for name, rate in rates.items() for each in (name, _text(rate))]
        changed = self._call("change", self._holder, self._rates, self._opener, *named)
        self._opener = ""
        return changed

    def state(self) -> Future[Any]:
        """Return the answer of the script `state`."""
        return self._worker.submit("state", [self._base], ("", "", self._rates), _same)

    def keys(self) -> dict[str, str | None]:
        """Return the keys that wait in this process, by their digests."""
        with self._lock:
            return {waiter.digest: waiter.key for waiter in self._waiting.values()}

    def close(self) -> Future[None]:
        """Close the connection after the calls that wait; the next use opens it again."""
        return self._worker.close()

    def _join(self, waiter: Waiter) -> None:
        holder, number = waiter.place
        self._call(
            "join",
            holder,
            *(number, waiter.digest, waiter.tokens, _LEASE, self._opener, self._rates),
        )

    def _end(self, script: str, place: Place, *arguments: Argument) -> None:
        with self._lock:
            self._waiting.pop(place, None)
            self._in_flight.discard(place)
        self._call(script, place.holder, place.number, *arguments)

    def _call(self, script: str, holder: str, *arguments: Argument) -> Future[Any]:
        """Call a script whose answer is the numbers of this holder that may be sent."""

        def done(answer: Future[Any]) -> None:
            error = answer.exception()
            if error is not None:
                self._fail(holder, error)
                return
            if script == "join":
                self._opener = ""
            self._grant(holder, answer.result())

        answer = self._worker.submit(script, [self._base], ("", holder, *arguments), _same)
        answer.add_done_callback(done)
        self._last = answer
        return answer

    def _grant(self, holder: str, numbers: Iterable[bytes]) -> None:
        granted = []
        with self._lock:
            for number in numbers:
                place = Place(holder, int(number))
                waiter = self._waiting.pop(place, None)
                if waiter is not None:
                    self._in_flight.add(place)
                    granted.append(waiter.turn)
        for turn in granted:
            if turn.set_running_or_notify_cancel():
                turn.set_result(None)

    def _fail(self, holder: str, error: BaseException) -> None:
        """Fail all that wait, and go on as another holder."""
        with self._lock:
            if holder != self._holder:
                return
            self._holder = _new_holder()
            failed, self._waiting = list(self._waiting.values()), {}
            self._in_flight.clear()
        for waiter in failed:
            if waiter.turn.set_running_or_notify_cancel():
                waiter.turn.set_exception(error)

    def _listen(self) -> None:
        """Receive messages on the thread, as long as there is something to wait for."""
        while self._is_needed():
            holder = self._holder
            try:
                try:
                    self._follow(holder)
                except self._worker.connection_errors:
                    time.sleep(_PAUSE)
                    if self._has_work:
                        self._tick(holder, repeats=True)  # tries for some seconds, and then fails
            except Exception as error:
                self._fail(holder, self._worker.failure(error))

    def _is_needed(self) -> bool:
        """Return whether the thread has to go on; if not, the next `join` starts another."""
        with self._lock:
            if not self._has_work:
                self._thread = None
            return self._thread is not None

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._in_flight) or self._tick_at < math.inf

    def _follow(self, holder: str) -> None:
        """Receive messages until there is nothing to wait for, or the holder is another."""
        messages = self._worker.subscription(f"{self._base}:{holder}")
        repeated_at, self._tick_at = math.inf, math.inf
        try:
            while holder == self._holder:
                now = time.monotonic()
                repeat_at = repeated_at + (_REPEAT if self._waiting else _RENEW)
                until = min(self._tick_at, repeat_at, now + _REPEAT)
                message = messages.get_message(timeout=max(0.0, until - now))
                now = time.monotonic()
                if message is None:
                    pass
                elif message["type"] == "subscribe":
                    repeated_at = -math.inf
                elif message["data"].startswith(b"tick "):
                    self._tick_at = now + float(message["data"][5:]) * _LATE
                else:
                    self._grant(holder, message["data"].split())
                repeat_at = repeated_at + (_REPEAT if self._waiting else _RENEW)
                if now >= min(self._tick_at, repeat_at):
                    self._tick_at = math.inf
                    self._tick(holder, repeats=now >= repeat_at)
                    repeated_at = now if now >= repeat_at else repeated_at
                if not self._has_work:
                    return
        finally:
            messages.close()

    def _tick(self, holder: str, *, repeats: bool) -> None:
        waits = bool(self._waiting)
        arguments = ("", holder, _LEASE, int(waits), int(repeats and waits))
        granted = self._worker.submit("tick", [self._base], arguments, _same).result()
        if granted is not None:
            self._grant(holder, granted)
            return
        with self._lock:
            lost = [waiter for place, waiter in self._waiting.items() if place.holder == holder]
        for waiter in lost:
            self._join(waiter)


def _new_holder() -> str:
    return uuid.uuid4().hex


def _text(value: float | None) -> Argument:
    return "" if value is None else value


def _same(answer: Any) -> Any:
    return answer
