"""Keep the runs of a server: start, find, stop, steer and resume them.

Theory of operation. A run that readers join is kept by the event log, which owns its one
subscription; readers come and go. A run of one request (OpenAI's APIs) has no entry here: it ends
with its connection. Both count as runs that go on, and `ServeLimits.runs` bounds their number.

The agent starts inside of the log's subscription, once the log has the run: then its checkpoints go
to the log, and a run that cannot be kept costs no request. So `start` waits for the log. What a run
was asked is in its checkpoints, for a server that finds it lost (`Reruns`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from inspect import signature
from typing import Any

import msgspec
from reactivex import Observable

from rxagents.core.approval import Decision
from rxagents.core.errors import LeaseError
from rxagents.core.events import StreamEvent
from rxagents.core.protocols import Messages
from rxagents.operators.probe import probe
from rxagents.runtime.direct import deferred
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.run_handle import RunHandle
from rxagents.serve.agent_runs import AgentRuns, MakeAgent
from rxagents.serve.failures import RequestError
from rxagents.serve.hiding import hide_internals
from rxagents.serve.kept_request import KeptRequest, new_run_id
from rxagents.serve.limits import ServeLimits
from rxagents.serve.run_stream import with_clean_up


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
        self._kept: dict[str, RunHandle] = {}
        self._agent_runs = AgentRuns(make_agent, limits.runs)

    async def start(
        self, task: str | list[dict[str, Any]], conversation_id: str | None, key: str | None = None
    ) -> str:
        """Start a run that readers join, and return its id, which nobody can guess.

        The log has the run then: another process finds it from now on.

        Args:
            task: What the user says.
            conversation_id: The conversation, for an agent that has conversations.
            key: The client's idempotency key: a run that was started with it is not started again.

        Raises:
            RequestError: The server is busy, or the key was used for another request.
            ConfigurationError: The task cannot be read.
            StorageError: The log's store failed.
        """
        request = KeptRequest(task, conversation_id)
        run_id = new_run_id(key)
        if key is None:
            await self.ask(run_id, request)
        elif not await self._is_known(run_id, request):
            try:
                await self.ask(run_id, request)
            except LeaseError:
                if not await self._is_known(run_id, request):
                    raise  # else the same request came twice at once
        return run_id

    async def start_for_page(
        self, messages: list[dict[str, Any]], conversation_id: str, run_id: str, *, repeats: bool
    ) -> None:
        """Start a run for a page that sends the whole conversation each time.

        An agent that keeps conversations gets only what the user has said since its last answer.

        Args:
            messages: The conversation.
            conversation_id: Its id.
            run_id: The id of the run.
            repeats: Whether another server may ask again if the run is lost.

        Raises:
            RequestError: The server is busy.
            ConfigurationError: The messages cannot be read.
            StorageError: The log's store failed.
        """
        if not self.has_conversations():
            request = KeptRequest(messages)
        else:
            new = len(messages)
            while new and messages[new - 1].get("role") == "user":
                new -= 1
            request = KeptRequest(messages[new:], conversation_id)
        await self.ask(run_id, request, repeats=repeats)

    async def resume(
        self, run_id: str, decisions: dict[str, Decision], resumed: str, *, repeats: bool = True
    ) -> None:
        """Go on with a run whose calls wait.

        Args:
            run_id: The id of the run whose calls wait.
            decisions: The decisions.
            resumed: The id of the run that goes on.
            repeats: Whether another server may ask again if the run is lost.

        Raises:
            RequestError: No call of this run waits.
            ConfigurationError: The decisions do not match the calls.
            StorageError: The log's store failed.
        """
        ended = self._agent_runs.take_ended(run_id)
        request = KeptRequest("", ended.conversation_id, decisions, ended.messages)
        try:
            await self.ask(resumed, request, repeats=repeats)
        except Exception:
            self._agent_runs.set_ended(run_id, ended)  # its calls still wait
            raise

    async def ask(self, run_id: str, request: KeptRequest, *, repeats: bool = True) -> None:
        """Start a run, or another attempt of one; the log has it then.

        Args:
            run_id: The id of the run.
            request: What it is asked.
            repeats: Whether the log keeps the request, for a server that finds the run lost.

        Raises:
            RequestError: The server is busy, or the agent cannot do it.
            ConfigurationError: The request cannot be read.
            LeaseError: The run goes on already.
            StorageError: The log's store failed.
        """
        self._check_room()
        start = self._agent_runs.prepare(run_id, request)
        stream = deferred(start).pipe(self._probe, hide_internals)
        kept = msgspec.to_builtins(request) if repeats else None
        handle = self.log.start(run_id, stream, request=kept, durable=repeats)
        self._begin_one()
        self._kept[run_id] = handle
        handle.when_ended(partial(self._end_kept, run_id))
        await handle.begun()

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
        if not self._agent_runs.stop(run_id) and not self.log.stop(run_id):
            raise RequestError(404, "No run with this id goes on here.")

    def steer(self, run_id: str, text: Messages, *, now: bool) -> None:
        """Add a message to a run.

        Raises:
            RequestError: There is no such run that goes on, or its agent cannot be steered.
        """
        if not self._agent_runs.steer(run_id, text, now=now):
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
        self._agent_runs.stop_all()

    def _begin_one(self) -> None:
        self.going_on += 1
        self.started += 1
        self._is_idle.clear()

    def _end_one(self) -> None:
        self.going_on -= 1
        if not self.going_on:
            self._is_idle.set()

    def _counted(self, events: Observable[Any]) -> Observable[Any]:
        def counted() -> Observable[Any]:
            self._begin_one()
            return with_clean_up(events.pipe(self._probe, hide_internals), self._end_one)

        return deferred(counted)

    def _probe(self, events: Observable[Any]) -> Observable[Any]:
        return events if self._probed is None else events.pipe(probe(self._probed))

    async def _is_known(self, run_id: str, request: KeptRequest) -> bool:
        """Return whether the log has a run with this id.

        Raises:
            RequestError: It was asked something else.
        """
        handle = self._kept.get(run_id)
        if handle is not None:
            await handle.begun()
        known = KeptRequest.of(await self.log.checkpoint(run_id))
        if known is not None and not known.is_same(request):
            raise RequestError(422, "This Idempotency-Key was used for another request: make one.")
        return known is not None

    def _end_kept(self, run_id: str) -> None:
        del self._kept[run_id]
        self._end_one()

    def _check_room(self) -> None:
        if self._is_draining:
            raise RequestError(503, "The server is being stopped. Try another one, or try later.")
        if not self.has_room:
            raise RequestError(
                503, f"{self._limits.runs} runs go on at this server, and no more fit. Try later."
            )
