"""Run what `run_many` orders, and send its events in batches: the same for all kinds of workers.

Theory of operation. A worker gets orders and sends answers, both as bytes; it does not know what
carries them. All its runs share one stream of batches: a channel for each run was tried on Ray, and
breaks at 50 runs.

- An event is appended to a list. The list is sent when it has `_BATCH` events, or `_SECONDS` after
  its first one: a batch costs the same however many events it holds.
- Credit bounds the events that were sent and not taken by the subscriber. Without credit the gate
  of all runs closes, and their sockets are no longer read. It opens when half of the credit is
  there again, so that it does not change with each batch. A run may emit one event more while the
  gate is closed, so that at most `WINDOW` + `_BATCH` events and one for each run wait.
- The end of a run goes with the batch after its last event. An error travels as data.
- What cannot be encoded fails its run, not the batch.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from functools import partial
from itertools import count

import msgspec
from msgspec import Struct
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError
from rxagents.core.event_base import ErrorInfo, Event
from rxagents.core.events import StreamEvent
from rxagents.core.surrogates import replace_all_surrogates
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.checkpoints import CheckpointSink
from rxagents.runtime.many_runs.engine import Target
from rxagents.runtime.many_runs.messages import (
    Answer,
    Batch,
    Checkpointed,
    Credit,
    Ended,
    Granted,
    JsonEvent,
    Order,
    Ready,
    Setup,
    Start,
    Stop,
    Stored,
    encode,
)
from rxagents.runtime.many_runs.remote_limiter import PermitRequests, RunLimiter
from rxagents.runtime.many_runs.run_bridge import RunBridge
from rxagents.runtime.metering.metering import NONE, Metering, under
from rxagents.runtime.recording import encode_value
from rxagents.runtime.spending.ledger import Ledger

WINDOW = 4_096
"""Events of one worker that may be under way before its runs are slowed down."""

_BATCH = 512
_SECONDS = 0.005


class _Run(Struct, eq=False):
    subscription: SingleAssignmentDisposable
    ledger: Ledger | None
    bridge: RunBridge

    def dispose(self) -> None:
        self.subscription.dispose()
        self.bridge.end()


class Worker:
    """Runs what it is ordered.

    Args:
        send: Sends the bytes of an answer.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_bytes = send
        self._loop = asyncio.get_running_loop()
        self._bridge = Bridge(self._loop, _ignore_failure)
        self._setup: Setup | None = None
        self._target: Target | None = None
        self._runs: dict[int, _Run] = {}
        self._events: list[tuple[int, StreamEvent]] = []
        self._ended: list[Ended] = []
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = 0
        self._permits = PermitRequests(self._send)
        self._checkpoints = count(1)
        self._when_stored: dict[int, Callable[[], None]] = {}

    def on_order(self, order: Order) -> None:
        """Do what an order says."""
        match order:
            case Setup():
                self._prepare(order)
            case Start():
                self._start(order)
            case Stop():
                run = self._runs.pop(order.run, None)
                if run is not None:
                    run.dispose()
            case Credit():
                self._under_way -= order.events
                if self._bridge.gate.closed and self._under_way <= WINDOW // 2:
                    self._bridge.gate.open()
            case Granted():
                self._permits.on_granted(order)
            case Stored():
                self._when_stored.pop(order.number, _do_nothing)()

    def dispose(self) -> None:
        """Dispose all runs, which closes their connections."""
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.dispose()

    async def aclose(self) -> None:
        """Dispose all runs, and wait until their tasks are over."""
        self.dispose()
        if self._timer is not None:
            self._timer.cancel()
        await self._bridge.aclose()

    def _prepare(self, setup: Setup) -> None:
        self._setup = setup
        error: ErrorInfo | None = None
        try:
            self._target = Target(pickle.loads(setup.factory))
        except Exception as failure:
            error = ErrorInfo.of(failure)
        self._send(Ready(error))

    def _start(self, order: Start) -> None:
        number, setup = order.run, self._setup
        assert setup is not None
        assert self._target is not None
        bridge = RunBridge(self._bridge, partial(self._end, number))
        ledger = Ledger({}) if setup.counts else None
        run = _Run(SingleAssignmentDisposable(), ledger, bridge)
        metering = NONE
        if setup.counts or setup.has_limiter:
            limiters = (RunLimiter(self._permits, number),) if setup.has_limiter else ()
            metering = Metering(limiters, () if run.ledger is None else (run.ledger,))
        self._runs[number] = run

        def on_next(event: StreamEvent) -> None:
            events = self._events
            events.append((number, event))
            if len(events) >= _BATCH:
                self._flush()
            elif self._timer is None:
                self._timer = self._loop.call_later(_SECONDS, self._flush)

        def on_error(error: Exception) -> None:
            self._end(number, error)

        def on_completed() -> None:
            self._end(number, None)

        try:
            stream = self._target.stream(pickle.loads(order.value))
            with under(metering), bridge.entered(), self._sink(order).entered():
                run.subscription.disposable = stream.subscribe(
                    on_next, on_error, on_completed, scheduler=bridge.scheduler
                )
        except Exception as error:
            on_error(error)

    def _sink(self, order: Start) -> CheckpointSink:
        """Return what takes the checkpoints of a run."""
        assert self._target is not None
        if not order.is_durable or not self._target.is_agent:
            return CheckpointSink(_ignore)

        def save(checkpoint: Checkpoint, then: Callable[[], None]) -> None:
            if order.run not in self._runs:
                return
            try:
                data = encode_value(checkpoint)
            except Exception as error:  # of `provider_data`, which may be the user's
                self._end(order.run, error)
                return
            self._flush()  # the events before it
            number = next(self._checkpoints)
            self._when_stored[number] = then
            self._send(Checkpointed(order.run, number, data))

        sink = CheckpointSink(save)
        sink.is_durable = True
        if order.checkpoint:
            sink.previous = msgspec.json.decode(order.checkpoint, type=Checkpoint)
        return sink

    def _end(self, number: int, error: Exception | None) -> None:
        run = self._runs.pop(number, None)
        if run is None:
            return
        run.dispose()
        cost = None if run.ledger is None else run.ledger.cost
        self._ended.append(Ended(number, None if error is None else ErrorInfo.of(error), cost))
        if self._timer is None:
            self._timer = self._loop.call_later(_SECONDS, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        events, self._events = self._events, []
        self._under_way += len(events)
        if self._under_way >= WINDOW:
            self._bridge.gate.close()
        ended, self._ended = self._ended, []
        try:
            self._send_bytes(encode(Batch(events, ended)))
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
            self._send_one_by_one(events, ended)

    def _send_one_by_one(self, events: list[tuple[int, StreamEvent]], ended: list[Ended]) -> None:
        failed: dict[int, Exception] = {}
        for number, event in events:
            if number not in failed:
                try:
                    self._send_bytes(_encoded(number, event))
                    continue
                except Exception as error:
                    failed[number] = error
            self._under_way -= 1
        for number, failure in failed.items():
            self._end(number, failure)
        ended = [
            Ended(each.run, ErrorInfo.of(failed[each.run]), each.cost)
            if each.run in failed
            else each
            for each in ended
        ]
        self._send(Batch([], [*ended]))

    def _send(self, answer: Answer) -> None:
        self._send_bytes(encode(answer))


def _do_nothing() -> None: ...


def _ignore_failure(_: Exception) -> None:
    """Do nothing: each run has a bridge of its own."""


def _ignore(_: Checkpoint, __: object) -> None: ...


def _encoded(number: int, event: StreamEvent) -> bytes:
    """Return the answer with one event.

    Raises:
        ConfigurationError: It is no event.
        Exception: It cannot be encoded.
    """
    if not isinstance(event, Event):
        raise ConfigurationError(
            f"A run on a worker emits events, not {type(event).__name__}: map its items to "
            "rxagents.Token, or run it on the loop."
        )
    try:
        return encode(Batch([(number, event)], []))
    except (TypeError, ValueError, OverflowError):
        builtins = replace_all_surrogates(msgspec.to_builtins(event))
        return encode(JsonEvent(number, msgspec.json.encode(builtins)))
