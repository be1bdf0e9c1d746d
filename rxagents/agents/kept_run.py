"""A handle on a run that an event log keeps, and that goes on after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.agents.agent_run import AgentRun
from rxagents.agents.control import RunControl
from rxagents.agents.run import Run
from rxagents.agents.settled import started
from rxagents.agents.turns import Events
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.protocols import OutputT
from rxagents.runtime.direct import deferred
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.from_log import from_log
from rxagents.runtime.event_log.log_entries import LogEntry
from rxagents.runtime.event_log.log_store import checked_key
from rxagents.runtime.loop import running_loop
from rxagents.runtime.reporting import as_exception
from rxagents.runtime.source import Emitter, task_source


class KeptRun(AgentRun[OutputT]):
    """A run that an event log keeps; `agent.start(task, log=log, key=key)` starts it.

    Its events come from the log, so a subscriber gets all of them, also those of the attempts
    before, whenever it comes, and never slows the run down. A run that has completed is not run
    again: its events and its result are in the log.

    Args:
        log: The event log.
        key: The key of the run, which is its `id`.
        make_events: Makes the stream of the run.
        restored: Returns a run in the state of a checkpoint, which it checks.
    """

    def __init__(
        self,
        log: EventLog,
        key: str,
        make_events: Callable[[RunControl], Events],
        restored: Callable[[Checkpoint], Run],
    ) -> None:
        self._loop = running_loop()
        self._end = self._loop.create_future()
        self._control = RunControl()
        self.id = key
        self._log = log
        self._make_events, self._restored = make_events, restored
        self._begun = self._loop.create_future()
        self._begun.add_done_callback(lambda begun: begun.exception())
        items: Observable[StreamEvent] = from_log(log, key).pipe(rx_ops.map(_item_of))
        self.events = rx.concat(task_source(self._wait), items)
        started(self._run())

    async def _wait(self, _: Emitter[StreamEvent]) -> None:
        await asyncio.shield(self._begun)

    async def _run(self) -> None:
        try:
            await self._run_to_end()
        except BaseException as error:
            if not self._begun.done():
                self._begun.set_exception(as_exception(error))
            if self._control.result is None:
                self._control.error = as_exception(error)
        self._on_end()

    async def _run_to_end(self) -> None:
        log, key = self._log, self.id
        checkpoint = await log.checkpoint(key)
        if checkpoint is not None and checkpoint.messages:
            run = self._restored(checkpoint)
            if run.output is not None and await log.has_completed(key):
                run.begin(self._control)
                self._control.complete(run.result())
                self._begun.set_result(None)
                return
        handle = log.start(key, deferred(self._events), durable=True)
        await handle.begun()
        self._begun.set_result(None)
        await handle.wait()

    def _events(self) -> Events:
        self._control.take_checkpoints()
        return self._make_events(self._control)


def kept_run(
    log: EventLog | None,
    key: str | None,
    make_events: Callable[[RunControl], Events],
    restored: Callable[[Checkpoint], Run],
) -> KeptRun[OutputT]:
    """Start a run that a log keeps.

    Raises:
        ConfigurationError: `log` or `key` is missing or of the wrong type.
    """
    if not isinstance(log, EventLog) or key is None:
        raise ConfigurationError(
            "A run that goes on after a crash takes log, an rxagents.EventLog, and key, the text "
            f"that names the run: not {type(log).__name__} and {key!r:.80}."
        )
    return KeptRun(log, checked_key(key), make_events, restored)


def _item_of(entry: LogEntry[StreamEvent]) -> StreamEvent:
    return entry.item
