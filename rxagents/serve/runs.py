"""Keep the runs of a server: start, find, stop, steer and resume them.

Theory of operation. A run that readers join is kept by the event log, which owns its one
subscription; readers come and go. A run of one request (OpenAI's APIs) has no entry here: it ends
with its connection. Both count as runs that go on, and `ServeLimits.runs` bounds their number.

A run whose calls wait for decisions (`approve="defer"`) has ended. Decisions start another run from
its messages, so the messages of the newest `ServeLimits.runs` runs are kept. A `Conversation` keeps
such a run in its own store, so only the id of the conversation is kept of its runs. The resumed run
may wait again: it is kept like any other.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.agents.agent_run import AgentRun
from rxagents.agents.conversation import Conversation
from rxagents.core.approval import Decision
from rxagents.core.events import StreamEvent
from rxagents.core.messages import Message
from rxagents.core.protocols import Messages
from rxagents.operators.probe import probe
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.serve.failures import RequestError
from rxagents.serve.hiding import hide_internals
from rxagents.serve.limits import ServeLimits

MakeAgent: TypeAlias = Callable[[], Any]
"""Returns the agent of a run: an object with `run_stream`, perhaps `start` and `start_resumed`."""


class _Ended(NamedTuple):
    """What decisions need of a run that has ended."""

    messages: tuple[Message, ...]
    conversation_id: str | None


class Runs:
    """The runs of a server.

    Args:
        make_agent: Returns the agent of a run.
        log: Keeps the runs that readers join.
        limits: The bounds of the server.
        probed: The name of the probe that each run gets; `None` for no probe.

    Attributes:
        log: The same.
        going_on: How many runs go on.
        started: How many runs have started.
    """

    def __init__(
        self,
        make_agent: MakeAgent,
        log: EventLog,
        limits: ServeLimits,
        probed: str | None = None,
    ) -> None:
        self.log = log
        self.going_on = 0
        self.started = 0
        self._is_draining = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._make_agent = make_agent
        self._limits = limits
        self._probed = probed
        self._kept: set[str] = set()
        self._live: dict[str, AgentRun[Any]] = {}
        self._ended: OrderedDict[str, _Ended] = OrderedDict()

    def start(self, task: Messages, conversation_id: str | None, run_id: str = "") -> str:
        """Start a run that readers join, and return its id, which nobody can guess.

        Raises:
            RequestError: The server is busy, or the run goes on already.
            ConfigurationError: The task cannot be read.
        """
        self._check_room()
        agent, run_id = self._make_agent(), run_id or f"run_{uuid.uuid4().hex}"
        arguments = () if conversation_id is None else (conversation_id,)
        if not callable(getattr(agent, "start", None)):
            self._keep(run_id, agent.run_stream(task, *arguments))
            return run_id
        self._keep_live(run_id, agent.start(task, *arguments), conversation_id)
        return run_id

    def start_for_page(self, messages: list[dict[str, Any]], conversation_id: str) -> str:
        """Start a run for a page that sends the whole conversation each time, and return its id.

        An agent that keeps conversations gets only what the user has said since its last answer.

        Raises:
            RequestError: The server is busy.
            ConfigurationError: The messages cannot be read.
        """
        if not self.has_conversations():
            return self.start(messages, None)
        new = len(messages)
        while new and messages[new - 1].get("role") == "user":
            new -= 1
        return self.start(messages[new:], conversation_id)

    def resume(self, run_id: str, decisions: dict[str, Decision]) -> str:
        """Go on with a run whose calls wait, and return the id of the run that goes on.

        Raises:
            RequestError: No call of this run waits.
            ConfigurationError: The decisions do not match the calls.
        """
        self._check_room()
        ended = self._ended.get(run_id)
        if ended is None:
            raise RequestError(
                404,
                "No run with this id has ended here. Calls wait for decisions when the agent has "
                'approve="defer" and the run has ended with the finish reason "approval".',
            )
        agent, resumed = self._make_agent(), f"run_{uuid.uuid4().hex}"
        if isinstance(agent, Conversation):
            conversation_id = ended.conversation_id or "default"
            events = agent.resume_stream(decisions, conversation_id)
            at_end = partial(self._set_ended, resumed, _Ended((), conversation_id))
            self._keep(resumed, events.pipe(rx_ops.finally_action(at_end)))
        elif callable(getattr(agent, "start_resumed", None)):
            self._keep_live(resumed, agent.start_resumed(ended.messages, decisions), None)
        else:
            raise RequestError(400, "The agent cannot go on with a run: it has no start_resumed.")
        del self._ended[run_id]
        return resumed

    def events(self, task: Messages, conversation_id: str | None = None) -> Observable[StreamEvent]:
        """Return a run that ends with its subscription.

        Raises:
            RequestError: The server is busy.
            ConfigurationError: The task cannot be read.
        """
        self._check_room()
        arguments = () if conversation_id is None else (conversation_id,)
        events: Observable[StreamEvent] = self._make_agent().run_stream(task, *arguments)
        return self._counted(events)

    def has_conversations(self) -> bool:
        """Return whether the agent keeps conversations: its runs take a `conversation_id`."""
        return "conversation_id" in signature(self._make_agent().run_stream).parameters

    def goes_on(self, run_id: str) -> bool:
        """Return whether a run that readers join goes on."""
        return run_id in self._kept

    def stop(self, run_id: str) -> None:
        """End a run with what there is.

        Raises:
            RequestError: There is no such run that goes on.
        """
        run = self._live.get(run_id)
        if run is not None:
            run.stop()
        elif not self.log.stop(run_id):
            raise RequestError(404, "No run with this id goes on here.")

    def steer(self, run_id: str, text: Messages, *, now: bool) -> None:
        """Add a message to a run.

        Raises:
            RequestError: There is no such run that goes on, or its agent cannot be steered.
        """
        run = self._live.get(run_id)
        if run is None or not run.steer(text, now=now):
            raise RequestError(404, "No run with this id goes on here that can be steered.")

    @property
    def has_room(self) -> bool:
        """Whether another run may start."""
        return not self._is_draining and self.going_on < self._limits.runs

    async def drain(self, seconds: float) -> None:
        """Refuse further runs; wait for those that go on, and then end them with what there is."""
        self._is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        for run in tuple(self._live.values()):
            run.stop()

    def _end_one(self) -> None:
        self.going_on -= 1
        if not self.going_on:
            self._is_idle.set()

    def _counted(self, events: Observable[Any]) -> Observable[Any]:
        if self._probed is not None:
            events = events.pipe(probe(self._probed))

        def counted(_: object) -> Observable[Any]:
            self.going_on += 1
            self.started += 1
            self._is_idle.clear()
            return events.pipe(hide_internals, rx_ops.finally_action(self._end_one))

        return rx.defer(counted)

    def _keep(self, run_id: str, events: Observable[StreamEvent]) -> None:
        def end() -> None:
            self._kept.discard(run_id)

        self._kept.add(run_id)
        self.log.start(run_id, self._counted(events).pipe(rx_ops.finally_action(end)))

    def _keep_live(self, run_id: str, run: AgentRun[Any], conversation_id: str | None) -> None:
        def end() -> None:
            run.stop()  # the log may have left it: it was stopped there, or cannot be written
            del self._live[run_id]
            self._set_ended(run_id, _Ended(run.messages, conversation_id))

        self._live[run_id] = run
        self._keep(run_id, run.events.pipe(rx_ops.finally_action(end)))

    def _set_ended(self, run_id: str, ended: _Ended) -> None:
        self._ended[run_id] = ended
        if len(self._ended) > self._limits.runs:
            self._ended.popitem(last=False)

    def _check_room(self) -> None:
        if self._is_draining:
            raise RequestError(503, "The server is being stopped. Try another one, or try later.")
        if not self.has_room:
            raise RequestError(
                503, f"{self._limits.runs} runs go on at this server, and no more fit. Try later."
            )
