"""Start the runs of `run_many`, and merge their events.

Theory of operation. One task reads the inputs and subscribes to a stream for each of them while
fewer than `concurrency` are live. The engine makes these streams; this module does not know where
they run. Their events go to the subscriber inside of their `on_next`, without a task or a queue.

- The streams have a bridge of their own, whose gate follows that of the subscriber. So a slow
  subscriber closes the gate of each source on this loop. Each stream has another one behind it:
  what an operator raises fails this one run. While the gate is closed, each live stream may emit
  one event more, and no run starts.
- What the subscriber raises must not go through the streams: each would take it for its own
  consumer's. The emitter keeps it, `_fail` disposes all runs, and `run` ends.
- A run ends with one terminal event, `Complete` or `ErrorEvent`: a stream that ends without it gets
  it here. Then its report is made, and its place is free.
- A program that was killed has the leases of its runs for some seconds more. So `_feed` waits for a
  run that is being written, but only until these seconds have passed since the start. After that
  its writer lives, and the run fails with `LeaseError`.
- All ways to end go through the future `_over`: all done, an input that cannot be read, an engine
  that cannot go on, a subscriber that raises. Only `run` cleans up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

from msgspec import Struct
from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.core.errors import ConfigurationError, StreamCancelledError
from rxagents.core.events import Complete, ErrorEvent, ErrorInfo, StreamEvent
from rxagents.runtime.bridge import Bridge, Gate
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.kept import kept
from rxagents.runtime.event_log.log_store import LEASE_SECONDS
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.many_runs.engine import Engine, Job, RunState, Session
from rxagents.runtime.many_runs.finished import is_finished
from rxagents.runtime.many_runs.inputs import keyed
from rxagents.runtime.many_runs.run_bridge import RunBridge
from rxagents.runtime.many_runs.run_report import RunReport
from rxagents.runtime.metering.metering import under
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.source import Emitter

_FAIR_SHARE = 64
"""Inputs between two loop turns, at most."""

_LEASES_SECONDS = LEASE_SECONDS + 1
"""Seconds after the start in which a run may be that of a program that was killed before."""


class Options(Struct, frozen=True):
    """The arguments of `run_many`, which documents them."""

    factory: Callable[[], Any]
    inputs: Any  # an iterable of either kind
    concurrency: int
    engine: Engine
    log: EventLog | None
    retry_failed: bool
    limiter: RequestLimiter | None
    attempts: int
    report: Callable[[RunReport], object] | None


class _LiveRun(Struct, eq=False):
    subscription: SingleAssignmentDisposable
    bridge: RunBridge


class ManyRuns:
    """The runs of one subscription.

    Args:
        options: The arguments of `run_many`.
        emitter: Gets the keys and events.
    """

    def __init__(self, options: Options, emitter: Emitter[tuple[str, StreamEvent]]) -> None:
        self._options = options
        self._emitter = emitter
        loop = asyncio.get_running_loop()
        self._bridge = Bridge(loop, self._fail)
        self._link = _GateLink(emitter.gate, self._bridge.gate)
        self._over: asyncio.Future[None] = loop.create_future()
        self._live: dict[str, _LiveRun] = {}
        self._changed = asyncio.Event()
        self._leases_end = loop.time() + _LEASES_SECONDS
        self._has_warned = False

    async def run(self) -> None:
        """Run until all runs have ended, or one of the ways to fail."""
        options = self._options
        job = Job(
            options.factory,
            options.concurrency,
            options.attempts,
            options.limiter,
            options.report is not None,
            self._emitter.gate,
            self._fail,
        )
        session = await options.engine.open(job)
        feeder = asyncio.create_task(self._feed(session))
        feeder.add_done_callback(self._on_fed)
        try:
            await self._over
        finally:
            self._link.cut()
            feeder.cancel()
            self._dispose_all()
            with suppress(BaseException):
                await asyncio.shield(asyncio.wait({feeder}))
            try:
                await self._bridge.aclose()
            finally:
                await session.aclose()

    async def _feed(self, session: Session) -> None:
        count = 0
        async with aclosing(keyed(self._options.inputs)) as inputs:
            async for key, value in inputs:
                count += 1
                if count % _FAIR_SHARE == 0:  # runs may be skipped or fail without a wait
                    await asyncio.sleep(0)
                if await self._is_finished(key):
                    continue
                await self._until_fewer_than(self._options.concurrency)
                await self._emitter.gate.opened()
                if key in self._live:
                    raise ConfigurationError(
                        f"Two inputs have the key {key!r}, and the run of the first one has not "
                        "ended. Give each input a key of its own."
                    )
                self._start(session, RunState(key, value))
                # The next input is read when there is room for its run.
                await self._until_fewer_than(self._options.concurrency)
        await self._until_fewer_than(1)

    async def _is_finished(self, key: str) -> bool:
        log, retry = self._options.log, self._options.retry_failed
        if log is None:
            return False
        return await is_finished(log, key, retry_failed=retry, may_wait=self._may_wait)

    def _may_wait(self) -> bool:
        if asyncio.get_running_loop().time() >= self._leases_end:
            return False
        if not self._has_warned:
            self._has_warned = True
            logging.getLogger("rxagents").warning(
                "run_many waits up to %.0f s for the leases of runs that are being written, "
                "perhaps by a program that was killed.",
                LEASE_SECONDS,
            )
        return True

    async def _until_fewer_than(self, count: int) -> None:
        while len(self._live) >= count:
            self._changed.clear()
            await self._changed.wait()

    def _on_fed(self, feeder: asyncio.Task[None]) -> None:
        if feeder.cancelled():  # by `run`, which is over then, or by what the inputs wait for
            self._fail(StreamCancelledError("The iteration over the inputs was cancelled."))
            return
        error = feeder.exception()
        if error is not None:
            self._fail(error)
        elif not self._over.done():
            self._over.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._over.exception()  # `run` may have been cancelled meanwhile
        self._dispose_all()

    def _dispose_all(self) -> None:
        for live in tuple(self._live.values()):
            live.subscription.dispose()
            live.bridge.end()

    def _start(self, session: Session, run: RunState) -> None:
        key, emit, fail = run.key, self._emitter.push_one, self._fail
        last: StreamEvent | None = None

        def on_next(event: StreamEvent) -> None:
            nonlocal last
            last = event
            try:
                emit((key, event))
            except BaseException as error:
                fail(error)

        def on_error(error: Exception) -> None:
            if self._live.get(key) is not live:
                return  # an operator has failed, and then its source
            live.subscription.dispose()
            if not isinstance(last, ErrorEvent):
                on_next(ErrorEvent(run.error or ErrorInfo.of(error)))
            self._end(run, last)

        def on_completed() -> None:
            if not isinstance(last, Complete):
                on_next(Complete())
            self._end(run, last)

        bridge = RunBridge(self._bridge, on_error)
        live = self._live[key] = _LiveRun(SingleAssignmentDisposable(), bridge)
        try:
            stream: Observable[StreamEvent] = session.stream(run)
            log = self._options.log
            if log is not None:
                stream = kept(log, key, stream, is_durable=run.is_durable)
            with under(run.metering), bridge.entered():
                live.subscription.disposable = stream.subscribe(
                    on_next, on_error, on_completed, scheduler=bridge.scheduler
                )
        except Exception as error:
            on_error(error)

    def _end(self, run: RunState, last: StreamEvent | None) -> None:
        live = self._live.pop(run.key, None)
        if live is not None:
            live.bridge.end()
        self._changed.set()
        report = self._options.report
        if report is None or self._over.done():
            return
        try:
            report(_report_of(run, last))
        except BaseException as error:
            report_harmless(error, "The report function of run_many raised")


def _report_of(run: RunState, last: StreamEvent | None) -> RunReport:
    attempts, cost = max(1, run.attempts), run.total_cost
    if isinstance(last, ErrorEvent):
        return RunReport(run.key, None, last.error, "", attempts, cost.usage, cost)
    if isinstance(last, Complete):
        usage = last.usage
        return RunReport(run.key, last.content, None, last.finish_reason, attempts, usage, cost)
    return RunReport(run.key, attempts=attempts, cost=cost)


class _GateLink:
    """Closes and opens one gate with another."""

    def __init__(self, leader: Gate, follower: Gate) -> None:
        self._leader = leader
        self._follower = follower
        leader.watch(self)
        if leader.closed:
            follower.close()

    def gate_changed(self, *, closed: bool) -> None:
        """Follow."""
        if closed:
            self._follower.close()
        else:
            self._follower.open()

    def cut(self) -> None:
        """Follow no more."""
        self._leader.unwatch(self)
        self._follower.open()
