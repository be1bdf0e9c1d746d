"""The methods that run an agent: as a stream, as one value, or with a handle on the run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, Unpack, overload

from reactivex import Observable

from rxagents.agents.agent_run import DEFAULT_REPLAY, AgentRun
from rxagents.agents.as_tool import agent_tool
from rxagents.agents.control import RunControl
from rxagents.agents.kept_run import kept_run
from rxagents.agents.resume_lost import check_is_resumed
from rxagents.agents.run import Run
from rxagents.agents.run_options import AnyRunArguments, RunArguments, RunOptions, TypedRunArguments
from rxagents.agents.turns import Events
from rxagents.agents.waiting import checked_decisions, superseded
from rxagents.core.approval import Decisions
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.events import StreamEvent
from rxagents.core.message_input import to_messages
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult, Messages, OutputT
from rxagents.core.tools import Tool
from rxagents.runtime.direct import deferred
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.factories import source_factory
from rxagents.runtime.last_value import last_value

T = TypeVar("T")


class RunMethods(ABC, Generic[OutputT]):
    """The methods that run an agent; all of them are made of `_events`."""

    @source_factory
    def run_stream(
        self, task: Messages, **options: Unpack[AnyRunArguments]
    ) -> Observable[StreamEvent]:
        """Run the agent and stream its events.

        Args:
            task: A `str`, a `Message`, a role/content dict, or a sequence of these.
            **options: Options of this run: `tools`, `system_prompt`, `context`, see
                `RunArguments`; and `output_type`, in place of the agent's.

        Returns:
            A cold stream; each subscription is a run of its own. Its last event is `Complete`,
            or an `ErrorEvent` before `on_error`.

        Raises:
            ConfigurationError: The task or an option cannot be read.
        """
        messages, read = self._task(task), self.run_options(**options)
        return deferred(lambda: self._events(messages, read, RunControl.subscribed()))

    @overload
    async def run(
        self, task: Messages, **options: Unpack[TypedRunArguments[T]]
    ) -> AgentResult[T]: ...
    @overload
    async def run(
        self, task: Messages, **options: Unpack[RunArguments]
    ) -> AgentResult[OutputT]: ...
    async def run(self, task: Messages, **options: Unpack[AnyRunArguments]) -> AgentResult[Any]:
        """Run the agent and return its result; `run_stream` documents the arguments.

        Raises:
            RxAgentsError: The run failed.
        """
        control = RunControl()
        read = self.run_options(**options)
        await last_value(self._events(self._task(task), read, control))
        return control.checked_result()

    @overload
    def start(
        self,
        task: Messages,
        *,
        replay: int = DEFAULT_REPLAY,
        log: EventLog | None = None,
        key: str | None = None,
        **options: Unpack[TypedRunArguments[T]],
    ) -> AgentRun[T]: ...
    @overload
    def start(
        self,
        task: Messages,
        *,
        replay: int = DEFAULT_REPLAY,
        log: EventLog | None = None,
        key: str | None = None,
        **options: Unpack[RunArguments],
    ) -> AgentRun[OutputT]: ...
    def start(
        self,
        task: Messages,
        *,
        replay: int = DEFAULT_REPLAY,
        log: EventLog | None = None,
        key: str | None = None,
        **options: Unpack[AnyRunArguments],
    ) -> AgentRun[Any]:
        """Start a run at once, and return a handle on it.

        Args:
            task: A `str`, a `Message`, a role/content dict, or a sequence of these.
            replay: How many of the last events a late subscriber gets; with `log`, it gets all that
                the log keeps. 0 for a run that its only subscriber starts, see `AgentRun`.
            log: Keeps the run and its state. With the same `key` after a crash, or after a failure,
                the run goes on from its last turn, and finished tools do not run again; one that
                has completed is not run again. `result` raises `LeaseError` if another process has
                the run.
            key: The key of the run in the log.
            **options: See `run_stream`.

        Raises:
            ConfigurationError: An argument cannot be used, or no event loop is running.
        """
        messages, read = self._task(task), self.run_options(**options)
        if log is not None or key is not None:
            return kept_run(
                log,
                key,
                lambda control: self._events(messages, read, control),
                lambda checkpoint: self._restored(messages, read, checkpoint),
            )
        return AgentRun(lambda control: self._events(messages, read, control), replay)

    @source_factory
    def resume_stream(
        self, messages: Messages, decisions: Decisions, **options: Unpack[AnyRunArguments]
    ) -> Observable[StreamEvent]:
        """Go on with a run that ended because calls wait for decisions (`approve="defer"`).

        The calls that are approved run, and the model gets the results of all calls. Usage, turns
        and tool calls count from the start of the run that was deferred; `max_seconds` counts
        anew.

        Args:
            messages: `AgentResult.messages` of the run, which may have been stored as JSON or
                MessagePack meanwhile.
            decisions: For each call that waits its id, and `True`, `False`, `Approve` or `Deny`.
            **options: Options of this run; the tools that wait must be among its tools.

        Returns:
            A cold stream, like that of `run_stream`. Each subscription runs the calls.

        Raises:
            ConfigurationError: No call waits, or the decisions are not those of the calls that
                wait; or an option cannot be read.
        """
        read, options_read = to_messages(messages), self.run_options(**options)
        checked_decisions(read, decisions)
        return deferred(
            lambda: self._events(read, options_read, RunControl.subscribed(), decisions)
        )

    @overload
    async def resume(
        self, messages: Messages, decisions: Decisions, **options: Unpack[TypedRunArguments[T]]
    ) -> AgentResult[T]: ...
    @overload
    async def resume(
        self, messages: Messages, decisions: Decisions, **options: Unpack[RunArguments]
    ) -> AgentResult[OutputT]: ...
    async def resume(
        self, messages: Messages, decisions: Decisions, **options: Unpack[AnyRunArguments]
    ) -> AgentResult[Any]:
        """Go on with a run whose calls waited, and return its result; see `resume_stream`.

        Raises:
            RxAgentsError: The run failed.
        """
        read, options_read = to_messages(messages), self.run_options(**options)
        control = RunControl()
        await last_value(self._events(read, options_read, control, decisions))
        return control.checked_result()

    def start_resumed(
        self,
        messages: Messages,
        decisions: Decisions,
        *,
        replay: int = DEFAULT_REPLAY,
        log: EventLog | None = None,
        key: str | None = None,
        **options: Unpack[AnyRunArguments],
    ) -> AgentRun[Any]:
        """Go on at once with a run whose calls waited, and return a handle on it.

        Args:
            messages: See `resume_stream`.
            decisions: See `resume_stream`.
            replay: How many of the last events a late subscriber gets; 0 for a run that its only
                subscriber starts and ends, see `AgentRun`.
            log: Keeps the run and its state, as for `start`. After a crash the same call goes on:
                each call that is approved runs once.
            key: The key of the resumed run in the log, another one than that of the run before.
            **options: See `resume_stream`.

        Raises:
            ConfigurationError: As for `resume_stream`, or no event loop is running.
        """
        read, options_read = to_messages(messages), self.run_options(**options)
        checked_decisions(read, decisions)

        def make_events(control: RunControl) -> Events:
            return self._events(read, options_read, control, decisions)

        def restored(checkpoint: Checkpoint) -> Run:
            run = self._restored(read, options_read, checkpoint)
            check_is_resumed(read, checkpoint)
            return run

        if log is not None or key is not None:
            return kept_run(log, key, make_events, restored)
        return AgentRun(make_events, replay)

    def as_tool(self, name: str, description: str) -> Tool:
        """Return a tool that runs this agent, for another agent; see `agent_tool`."""
        return agent_tool(self.run_stream, name, description)

    def _task(self, task: Messages) -> Sequence[Message]:
        return superseded(to_messages(task), self.in_own_form)

    @abstractmethod
    def run_options(self, **options: Unpack[AnyRunArguments]) -> RunOptions:
        """Read the options of one run."""

    @abstractmethod
    def in_own_form(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return calls and results in the form that this agent's model reads."""

    @abstractmethod
    def _events(
        self,
        messages: Sequence[Message],
        options: RunOptions,
        control: RunControl,
        decisions: Decisions | None = None,
    ) -> Events:
        """Return the events of one run, which goes on with waiting calls if there are decisions."""

    @abstractmethod
    def _restored(
        self, messages: Sequence[Message], options: RunOptions, checkpoint: Checkpoint
    ) -> Run:
        """Return a new run in the state of a checkpoint.

        Raises:
            ConfigurationError: The checkpoint is that of another task.
        """
