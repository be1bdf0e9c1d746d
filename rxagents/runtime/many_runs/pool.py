"""Run the runs of `run_many` on workers, and replace the workers that are lost.

Theory of operation. One task for each worker starts it, reads its batches and hands each event to
the observer of its run; when the worker is lost, it starts another. A run is sent to the worker
with the fewest runs.

A worker that is lost takes all its runs with it, and does not say which of them has ended it. So
the runs start again in groups that get smaller: those that have lost a worker once are no longer
mixed with new ones, and only the square root of a worker's share runs at a time; those that have
lost two run alone, and so does each at its last attempt. A run that ends its worker each time is so
the only one that fails. `level` is how many workers a run has lost, and a worker has the runs of
one level at a time.

- After each event that closes the subscriber's gate, the reader waits, and gives no credit. The
  worker then runs out of credit and stops reading its sockets.
- An observer is called only here and never inside `subscribe`.
- Workers that are lost before they are ready, one after the other, end the stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from itertools import count
from math import ceil, isqrt

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError, RunInterruptedError, RxAgentsError
from rxagents.core.events import Reset, StreamEvent
from rxagents.core.printing import printed
from rxagents.runtime.many_runs.engine import Job, RunState
from rxagents.runtime.many_runs.links import Link, LinkLostError, Workers
from rxagents.runtime.many_runs.messages import (
    Answer,
    Batch,
    Checkpointed,
    Credit,
    Ended,
    JsonEvent,
    Ready,
    Setup,
    Start,
    Stop,
    Stored,
    decode_answer,
    decode_event,
    encode,
)
from rxagents.runtime.many_runs.permits import Permits
from rxagents.runtime.many_runs.pool_run import Member, PoolRun
from rxagents.runtime.stream import Stream

_STARTS = 3
"""How often a worker may be lost before it is ready."""

_ALONE = 2
"""The level from which on a run has a worker of its own."""


class PoolSession:
    """The runs of one subscription on workers.

    Args:
        job: What the runs have in common.
        workers: Starts the workers.

    Raises:
        ConfigurationError: The factory cannot be pickled.
    """

    def __init__(self, job: Job, workers: Workers) -> None:
        self._job = job
        self._workers = workers
        factory = self._pickled(job.factory, "The factory of run_many", "a function of a module")
        self._setup = Setup(factory, workers.main_data(), job.counts, job.limiter is not None)
        share = ceil(job.concurrency / workers.count)
        self._most = (share, max(1, isqrt(share)), 1)
        self._waiting: tuple[deque[PoolRun], ...] = (deque(), deque(), deque())
        self._members: list[Member] = []
        self._numbers = count(1)
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(workers.count)]

    def stream(self, run: RunState) -> Observable[StreamEvent]:
        """Return the events of one run.

        Raises:
            ConfigurationError: Its input cannot be pickled.
        """
        value = self._pickled(run.value, f"The input of the run {run.key!r}", "plain values")

        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            pool_run = PoolRun(next(self._numbers), run, value, observer)
            self._waiting[0].append(pool_run)
            self._dispatch()
            return Disposable(lambda: self._stop(pool_run))

        run.is_durable = True
        return Stream(subscribe)

    async def aclose(self) -> None:
        """End all workers."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self) -> None:
        """Start a worker, and another one when it is lost."""
        lost_starts = 0
        try:
            while True:
                link = await self._workers.start()
                try:
                    ready = await self._ready(link)
                    lost_starts = 0
                    await self._serve(link, ready)
                except LinkLostError as lost:
                    lost_starts += 1
                    if lost_starts == _STARTS:
                        raise RxAgentsError(
                            f"A {self._workers.what} ended {lost} before it was ready, {_STARTS} "
                            "times. What it printed to its standard error says why."
                        ) from lost
                finally:
                    await link.aclose()
        except Exception as error:
            self._job.fail(error)

    async def _ready(self, link: Link) -> Answer:
        link.send(encode(self._setup))
        return decode_answer(await link.receive())

    async def _serve(self, link: Link, ready: Answer) -> None:
        """Read the answers of a worker until it is lost."""
        if not isinstance(ready, Ready) or ready.error is not None:
            reason = (
                ready.error.message if isinstance(ready, Ready) and ready.error else "no answer"
            )
            raise ConfigurationError(
                f"A {self._workers.what} cannot load the factory of run_many: "
                f"{reason.rstrip('.')}. Give it a function of a module that can be imported there; "
                'a script runs behind `if __name__ == "__main__":`.'
            )
        member = Member(link, Permits(self._job.limiter))
        self._members.append(member)
        try:
            self._dispatch()
            while True:
                await self._on_answer(member, decode_answer(await link.receive()))
        except LinkLostError as lost:
            self._members.remove(member)
            self._on_lost(member, lost)
        finally:
            member.permits.close()

    async def _on_answer(self, member: Member, answer: Answer) -> None:
        match answer:
            case Batch():
                runs, gate = member.runs, self._job.gate
                for number, event in answer.events:
                    run = runs.get(number)
                    if run is not None:
                        run.has_emitted = True
                        run.observer.on_next(event)
                        if gate.closed:
                            await gate.opened()
                if answer.events:
                    member.send(Credit(len(answer.events)))
                for ended in answer.ended:
                    self._on_ended(member, ended)
            case JsonEvent():
                run = member.runs.get(answer.run)
                if run is not None:
                    run.has_emitted = True
                    run.observer.on_next(decode_event(answer.data))
                member.send(Credit(1))
            case Checkpointed():
                run = member.runs.get(answer.run)
                if run is not None:
                    run.save(answer.data, partial(member.send, Stored(answer.number)))
            case Ready():
                pass  # the answer to a second `Setup`, which is never sent
            case _:
                run = member.runs.get(getattr(answer, "run", 0))
                member.permits.on_answer(answer, member.send, run.state.key if run else "")

    def _on_ended(self, member: Member, ended: Ended) -> None:
        run = member.runs.pop(ended.run, None)
        if run is None:
            return
        run.member, run.has_ended = None, True
        run.state.cost = ended.cost
        if ended.error is None:
            run.observer.on_completed()
        else:
            run.state.error = ended.error
            run.observer.on_error(ended.error.exception())
        self._dispatch()

    def _on_lost(self, member: Member, lost: LinkLostError) -> None:
        for run in tuple(member.runs.values()):
            if run.has_ended:
                continue  # disposed by the subscriber, who got the error of another one
            run.member = None
            state = run.state
            times = "once" if state.attempts == 1 else f"{state.attempts} times"
            error = RunInterruptedError(
                f"The {self._workers.what} of the run {state.key!r} ended {lost}. The run was "
                f"started {times}; run_many(attempts=…) limits that."
            )
            if state.attempts >= self._job.attempts:
                run.observer.on_error(error)
                continue
            is_last = state.attempts + 1 >= self._job.attempts
            self._waiting[_ALONE if is_last else min(state.attempts, _ALONE)].append(run)
            if run.has_emitted:
                run.has_emitted = False
                run.observer.on_next(Reset.of(error, "turn" if run.checkpoint else "run"))
        self._dispatch()

    def _stop(self, run: PoolRun) -> None:
        member, run.member, run.has_ended = run.member, None, True
        if member is not None:
            del member.runs[run.number]
            member.send(Stop(run.number))
            self._dispatch()
            return
        for waiting in self._waiting:
            if run in waiting:
                waiting.remove(run)

    def _dispatch(self) -> None:
        """Send the runs that wait, those first that have lost the most workers."""
        for level in (2, 1, 0):
            waiting = self._waiting[level]
            while waiting:
                member = self._free_member(level)
                if member is None:
                    break
                run = waiting.popleft()
                run.state.attempts += 1
                run.member = member
                member.level = level
                member.runs[run.number] = run
                member.send(Start(run.number, run.value, run.is_durable, run.checkpoint))

    def _pickled(self, value: object, what: str, instead: str) -> bytes:
        try:
            return self._workers.dumps(value)
        except Exception as error:
            raise ConfigurationError(
                f"{what} cannot be sent to a worker: {printed(error)}. Use {instead}."
            ) from error

    def _free_member(self, level: int) -> Member | None:
        most = self._most[level]
        free = [
            member
            for member in self._members
            if not member.runs or (member.level == level and len(member.runs) < most)
        ]
        return min(free, key=lambda member: len(member.runs), default=None)
