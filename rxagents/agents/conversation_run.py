"""One run in a conversation: queue, recall and summarize, run, remember.

Theory of operation. The stages of the run stand around the turns of the agent, in one generator:
read the store, perhaps write a summary, run the agent, store the exchange with `Complete`.

- What a run stores is one change, with its `Complete`. A run that fails stores nothing, with the
  exceptions of `_keep_unfinished`, and of an `OutputError` after tools have run.
- A durable run whose process was lost between this change and the end mark in its log finds its
  exchange stored, and does not store it again. Calls of it that wait are not denied by its own
  message then, which comes again.
- A run whose calls wait is stored beside the exchanges ("deferred"). To resume it, its exchange is
  first taken from the store: so two processes never run its calls twice. From then on it is kept
  up to the results of its calls, whatever happens to the run, unless the process ends. A run that
  ends while the store still takes the exchange puts it back.
- A new message while a run waits: the calls are denied, and their exchange and that of the new
  message are stored as one. Until then the run waits on: if the new run fails, it can be resumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterator
from typing import Any, Literal, TypeAlias

import reactivex as rx
from msgspec import Struct
from msgspec.structs import replace
from reactivex import operators as rx_ops

from rxagents.agents.agent import BaseAgent
from rxagents.agents.control import RunControl
from rxagents.agents.event_agent import EventAgent
from rxagents.agents.finish import CANCELLED
from rxagents.agents.memorable import has_acted, is_memorable, was_seen
from rxagents.agents.memory import Memory, Recollection
from rxagents.agents.prompts import count_of_new
from rxagents.agents.run import Run
from rxagents.agents.run_options import RunOptions
from rxagents.agents.settled import await_later, outlasting, result_of, settled, started
from rxagents.agents.summary import Summary
from rxagents.agents.turns import Events, emitted, run_stages
from rxagents.agents.waiting import checked_decisions, superseded
from rxagents.core.approval import Decisions
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.core.events import StreamEvent
from rxagents.core.exchange import Exchange, whole_part
from rxagents.core.messages import Message
from rxagents.core.protocols import StreamingLLM
from rxagents.runtime.loop import is_loop_running, run_on_loop, running_loop
from rxagents.runtime.recording import encode_value
from rxagents.storage.conversation_store import Snapshot

OnStop: TypeAlias = Literal["drop", "keep"]


class ConversationParts(Struct, frozen=True):
    """The parts of a `Conversation`, which its runs share.

    Attributes:
        memory: The memory.
        agent: The agent.
        llm: The model that writes summaries; `None` if there is none.
        on_stop: What memory keeps of a run that is stopped or disposed.
    """

    memory: Memory
    agent: BaseAgent[Any] | EventAgent
    llm: StreamingLLM | None
    on_stop: OnStop


class ConversationRun:
    """One run of an agent in a conversation.

    Args:
        parts: The parts of the conversation.
        conversation_id: The id of the conversation.
        options: The options of the run.
        control: Stops and steers the run, and gets its end.
    """

    def __init__(
        self,
        parts: ConversationParts,
        conversation_id: str,
        options: RunOptions,
        control: RunControl,
    ) -> None:
        self._memory, self._agent = parts.memory, parts.agent
        self._llm, self._on_stop = parts.llm, parts.on_stop
        self._id = conversation_id
        self._options = options
        self._control = control
        self._is_resumed = False
        self._is_remembered = False
        self._loop: asyncio.AbstractEventLoop | None = None  # in virtual time there is none

    def events(self, new: tuple[Message, ...], decisions: Decisions | None) -> Events:
        """Return the events of the run, which waits for the earlier runs of its conversation.

        Args:
            new: The new messages of the user.
            decisions: Decisions about the calls that wait, in place of new messages.
        """
        control, agent = self._control, self._agent
        stages = self._stages(new, decisions)
        control.metering = self._options.metering(agent)
        control.agent_name, control.conversation_id = agent.name, self._id
        run_once = run_stages(stages, agent.limits.seconds, control)

        def stop_unstarted() -> StreamEvent:
            unstarted = Run(new, (), agent.limits, parts=self._options.parts)
            unstarted.begin(control)
            unstarted.output, unstarted.finish_reason = "", CANCELLED
            control.complete(unstarted.result())
            return unstarted.complete()

        return control.stoppable(self._memory.queue.queued(self._id, run_once), stop_unstarted)

    def _stages(self, new: tuple[Message, ...], decisions: Decisions | None) -> Iterator[Events]:
        control, memory, agent = self._control, self._memory, self._agent
        self._loop = running_loop() if is_loop_running() else None
        start_from = yield from settled(memory.store.read(self._id))
        if decisions is not None:
            self._check_waiting(start_from, decisions)
            new = start_from.deferred
        elif start_from.deferred and not _is_exchange_of(control.previous, start_from.deferred):
            new = superseded((*start_from.deferred, *new), agent.in_own_form)
        recalled = memory.recall(self._id, start_from, new)
        summary = Summary(start_from.summary)
        if recalled.outgrown and self._llm is not None and not control.is_stopped:
            yield control.interruptible(summary.extend(self._llm, recalled.outgrown))
            if summary.text == start_from.summary:  # the user stopped the summary
                recalled = replace(recalled, outgrown=())
        known = (*summary.messages, *recalled.messages, *new)
        run = agent.new_run(known, summary.usage, self._options)
        run.begin(control)
        run.start = len(run.messages) - count_of_new(run.messages, new)
        kept = _Kept(run, memory, recalled, summary)
        control.before_failed = lambda is_disposed: self._keep_unfinished(kept, is_disposed)
        try:
            if decisions is not None:
                yield from self._resumed(kept, decisions)
            elif isinstance(agent, BaseAgent) and (previous := control.take_previous(run)):
                yield from agent.gone_on(run, previous)
                newest = (start_from.exchanges or ((),))[-1]
                stored = start_from.deferred if run.pending else newest
                self._is_remembered = _is_exchange_of(previous, stored)
            last_events = yield from agent.turns(run)
        except OutputError:
            exchange = whole_part(run.messages[run.start :])
            if has_acted(run, exchange):
                yield from settled(self._remember(kept, exchange))
            raise
        yield emitted(last_events)
        yield from self._complete(kept)

    def _check_waiting(self, start_from: Snapshot, decisions: Decisions) -> None:
        if not start_from.deferred:
            raise ConfigurationError(
                f"There is nothing to resume: no run of the conversation {self._id!r} waits for "
                "approval."
            )
        checked_decisions(start_from.deferred, decisions)

    def _resumed(self, kept: _Kept, decisions: Decisions) -> Generator[Events, None, None]:
        taken = self._memory.store.take_deferred(self._id, kept.recalled.start)
        if isinstance(taken, Awaitable):
            taken = yield from self._taken(kept, started(taken))
        if not taken:
            raise ConfigurationError(
                f"The run of the conversation {self._id!r} does not wait any more: it was resumed, "
                "forgotten or denied elsewhere."
            )
        self._is_resumed = True
        assert isinstance(self._agent, BaseAgent), "Conversation has checked it"
        yield from self._agent.resumed(kept.run, decisions)

    def _taken(self, kept: _Kept, taking: asyncio.Task[bool]) -> Generator[Events, None, bool]:
        """Wait for the store to take the run that waits; put it back if this run ends before."""
        control, memory, recalled = self._control, self._memory, kept.recalled
        before_failed = control.before_failed

        def put_back(_: asyncio.Task[bool]) -> None:
            if not taking.cancelled() and taking.exception() is None and taking.result():
                deferred, text = recalled.start.deferred, kept.summary.text
                await_later(memory.remember(recalled, deferred, text, deferred=True), self._loop)

        control.before_failed = lambda _: run_on_loop(
            taking.get_loop(), taking.add_done_callback, put_back
        )
        stages: Generator[Events, None, bool] = settled(result_of(taking))
        taken = yield from stages
        control.before_failed = before_failed
        return taken

    def _remember(self, kept: _Kept, exchange: Exchange) -> Awaitable[None] | None:
        self._control.before_failed = lambda _: None  # dispose must not store it once more
        stored = kept.remember(exchange)
        is_kept = self._is_resumed or self._on_stop == "keep"
        return outlasting(stored) if is_kept else stored

    def _keep_unfinished(self, kept: _Kept, is_disposed: bool) -> None:
        """Store a run that fails or is disposed, if it was resumed or memory keeps such runs."""
        run = kept.run
        if is_disposed and self._on_stop == "keep":
            exchange = tuple(run.messages_so_far()[run.start :])
        elif self._is_resumed:
            written = run.messages_so_far() if run.turn is None else run.messages
            exchange = whole_part(written[run.start :])
        else:
            return
        if was_seen(exchange):
            await_later(kept.remember(exchange), self._loop)

    def _complete(self, kept: _Kept) -> Iterator[Events]:
        """Store the run, and emit its `Complete`."""
        run, control = kept.run, self._control
        complete = run.complete()
        pending: list[Awaitable[None] | None] = []

        def is_stored(_: StreamEvent) -> bool:
            exchange = tuple(run.messages[run.start :])
            stored = self._remember(kept, exchange) if self._is_memorable(run, exchange) else None
            if isinstance(stored, Awaitable):
                pending.append(stored)
                return False
            control.complete(run.result())
            return True

        # A stage of its own: a reader that leaves at the answer can dispose before it. A store
        # that stores at once does so in the step that emits `Complete`, so that neither
        # happens without the other.
        yield rx.just(complete).pipe(rx_ops.filter(is_stored))
        for stored in pending:
            yield from settled(stored)
            control.complete(run.result())
            yield emitted((complete,))

    def _is_memorable(self, run: Run, exchange: Exchange) -> bool:
        if self._is_remembered:
            return False
        if run.pending:
            return True
        if run.control.is_stopped and run.finish_reason == CANCELLED:
            return self._is_resumed or (self._on_stop == "keep" and was_seen(exchange))
        return is_memorable(run, exchange)


def _is_exchange_of(checkpoint: Checkpoint | None, exchange: Exchange) -> bool:
    """Return whether an exchange in the store is that of a run that had come to its end."""
    if checkpoint is None or checkpoint.output is None:
        return False
    return encode_value(checkpoint.messages[checkpoint.start :]) == encode_value(exchange)


class _Kept(Struct, frozen=True):
    """A run with its memory, so that it can be stored.

    Attributes:
        run: The run.
        memory: The memory.
        recalled: What the run started from.
        summary: The summary of what the run does not show to the model.
    """

    run: Run
    memory: Memory
    recalled: Recollection
    summary: Summary

    def remember(self, exchange: Exchange) -> Awaitable[None] | None:
        """Store the exchange, beside the others if calls of it wait."""
        return self.memory.remember(
            self.recalled, exchange, self.summary.text, deferred=bool(self.run.pending)
        )
